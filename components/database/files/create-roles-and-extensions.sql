-- Before a dump is restored. It is restored by the role `loader`, which is no superuser: the server itself refuses what a
-- dump must not do, such as COPY ... FROM PROGRAM, wherever it stands.
CREATE ROLE loader LOGIN;
CREATE ROLE dhis LOGIN;
CREATE ROLE replicator LOGIN REPLICATION;
CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE DATABASE dhis OWNER dhis TEMPLATE template0;
REVOKE CONNECT, TEMPORARY ON DATABASE dhis FROM PUBLIC;
GRANT CONNECT ON DATABASE dhis TO monitor;
GRANT ALL ON DATABASE dhis TO loader;
\connect dhis
ALTER SCHEMA public OWNER TO loader;
CREATE EXTENSION postgis;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gin;
