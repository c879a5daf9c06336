"""Generate a sample dump: synthetic data in DHIS2's tables, written the way pg_dump 17 writes plain SQL."""
