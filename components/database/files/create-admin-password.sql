-- The table of what was set for the user admin: one row. In a schema of its own, as encryption-password.sql has it.
CREATE SCHEMA IF NOT EXISTS dhis2_cluster;
CREATE TABLE IF NOT EXISTS dhis2_cluster.admin_password (hash text NOT NULL, is_generated boolean NOT NULL);
