"""The fake random provider: passwords and ids that stay as long as their inputs do."""
