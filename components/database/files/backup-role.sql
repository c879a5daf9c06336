-- At each start of a primary with backups: the role that pg_dump connects as. It reads everything of the database, whoever owns
-- it; as a member of the owner's role also what pg_read_all_data does not have, such as large objects.
SET log_min_error_statement = panic;
SET log_statement = none;
SET client_min_messages = warning;
\set password `cat /opt/dhis2-cluster/secrets/backup-role-password`
SELECT 'CREATE ROLE backup' WHERE to_regrole('backup') IS NULL
\gexec
ALTER ROLE backup LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB BYPASSRLS PASSWORD :'password';
ALTER ROLE backup SET default_transaction_read_only = on;
GRANT dhis TO backup;
SELECT 'GRANT pg_read_all_data TO backup' WHERE to_regrole('pg_read_all_data') IS NOT NULL
\gexec
