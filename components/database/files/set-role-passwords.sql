-- At each start of a primary: the roles that connect, with the passwords of the files (they may be new ones).
SET log_min_error_statement = panic;
SET log_statement = none;
SET client_min_messages = warning;
\set app `cat /opt/dhis2-cluster/secrets/app-password`
\set replication `cat /opt/dhis2-cluster/secrets/replication-password`
ALTER ROLE dhis LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB PASSWORD :'app';
ALTER ROLE replicator LOGIN REPLICATION PASSWORD :'replication';
ALTER ROLE monitor LOGIN PASSWORD NULL;
-- A standby reads pg_replication_slots and the names of WAL segments; the replication protocol has no command for these.
GRANT pg_monitor TO replicator;
