"""The fake Python language host: runs a project's program for the Pulumi engine."""
