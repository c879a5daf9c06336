"""The random plugin: passwords and identifiers that stay the same as long as their settings do."""
