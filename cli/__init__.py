"""The command `dhis2-cluster`: what Pulumi has no verb for. One module a verb in verbs/."""
