"""Where containers have what is uploaded to them. Without Pulumi, so that commands do not wait for its import."""

FILES = "/opt/dhis2-cluster"  # scripts and configuration
SECRETS = f"{FILES}/secrets"  # one secret a file
