-- As pg_cron does: a schema, a table and a sequence whose rows a dump has, and a function for event triggers.
CREATE SCHEMA cronlike;
CREATE SEQUENCE cronlike.jobid_seq;
CREATE TABLE cronlike.job (jobid bigint PRIMARY KEY DEFAULT nextval('cronlike.jobid_seq'), command text);
SELECT pg_catalog.pg_extension_config_dump('cronlike.job', '');
SELECT pg_catalog.pg_extension_config_dump('cronlike.jobid_seq', '');
CREATE FUNCTION cronlike.changed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
