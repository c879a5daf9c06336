-- Create the extension :name where a dump has it: in :schema, if it names one. Extensions belong to the superuser and are
-- created before the dump is restored; a schema the dump is going to create belongs to `loader`.
SET client_min_messages = warning;
\if :{?schema}
SELECT count(*) > 0 AS elsewhere
FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname = :'name' AND nspname <> :'schema'
\gset
\if :elsewhere
DROP EXTENSION :"name";
\endif
SELECT format('CREATE SCHEMA %I AUTHORIZATION loader', :'schema')
WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = :'schema')
\gexec
CREATE EXTENSION IF NOT EXISTS :"name" SCHEMA :"schema" CASCADE;
\else
CREATE EXTENSION IF NOT EXISTS :"name" CASCADE;
\endif
