-- Prints `done` when DHIS2's user admin exists and has the password of the file now. psql reads the file, so that the
-- password is on no command line, and no failing statement is logged.
SET log_min_error_statement = panic;
SET log_statement = none;
SELECT CASE
    WHEN EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'userinfo'
        AND column_name = 'password') THEN 'userinfo'
    WHEN to_regclass('public.users') IS NOT NULL THEN 'users' END AS accounts
\gset
\if :{?accounts}
SELECT count(*) = 1 AS present FROM public.:"accounts" WHERE username = 'admin'
\gset
\if :present
\set password `cat /opt/dhis2-cluster/secrets/admin-password`
\connect postgres
SET log_min_error_statement = panic;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
SELECT crypt(:'password', gen_salt('bf', 10)) AS hash
\gset
\connect dhis
UPDATE public.:"accounts" SET password = :'hash' WHERE username = 'admin' RETURNING 'done';
\endif
\endif
