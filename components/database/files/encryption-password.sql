-- Prints the fingerprint of the encryption.password that DHIS2 has used with this database; nothing where none is recorded.
-- It is a row of the database, in a schema of its own: every dump of the database has it, and no migration finds it.
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS dhis2_cluster;
CREATE TABLE IF NOT EXISTS dhis2_cluster.encryption_password (fingerprint text NOT NULL);
SELECT fingerprint FROM dhis2_cluster.encryption_password LIMIT 1;
