-- Before a dump is loaded. What is loaded belongs to `loader`, so that it can be told from what extensions own.
CREATE ROLE loader LOGIN SUPERUSER;
CREATE ROLE dhis LOGIN;
CREATE ROLE replicator LOGIN REPLICATION;
CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE DATABASE dhis OWNER dhis TEMPLATE template0;
REVOKE CONNECT, TEMPORARY ON DATABASE dhis FROM PUBLIC;
GRANT CONNECT ON DATABASE dhis TO monitor;
\connect dhis
CREATE EXTENSION postgis;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gin;
