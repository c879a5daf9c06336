"""The verbs of `dhis2-cluster`."""
