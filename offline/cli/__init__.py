"""Builds the Pulumi CLI from its Go module, where no official release can be downloaded."""
