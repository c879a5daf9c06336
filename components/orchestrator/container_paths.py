"""Where containers have what is uploaded to them. Without Pulumi, whose import takes a second: commands need it too."""

FILES = "/opt/dhis2-cluster"  # scripts and configuration
SECRETS = f"{FILES}/secrets"  # one secret a file
