"""Measures what the program promises, as ratios within one run on one machine. See README.md."""
