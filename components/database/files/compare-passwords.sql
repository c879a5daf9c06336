-- Compares password hashes, and so makes no login that fails: DHIS2 may lock an account after some of these.
-- The file accounts has what accounts.sql prints. Prints
--   admin=assigned|default|other   the user admin has the password in :file, DHIS2's default password, or another one
--   recorded=assigned              that hash is of the password in :file; only for another one
--   known=NAME PASSWORD            for each other account with a well-known password, where :open is true
-- Run in the database postgres: it leaves no extension in DHIS2's.
\set VERBOSITY terse
SET log_min_error_statement = panic;
SET log_statement = none;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
\i /opt/dhis2-cluster/known-accounts.sql
CREATE TEMP TABLE account (username text, hash text);
\copy account from '/var/run/postgresql/accounts'
\set password `cat :'file'`
-- crypt fails on what is no hash of bcrypt, and knows only the first of its three prefixes, which mean the same here.
CREATE FUNCTION pg_temp.matches(hash text, password text) RETURNS boolean LANGUAGE sql
    AS $$ SELECT CASE WHEN hash ~ '^[$]2[aby][$]'
        THEN substr(hash, 5) = substr(crypt(password, '$2a$' || substr(hash, 5)), 5) ELSE false END $$;
SELECT coalesce((SELECT pg_temp.matches(hash, :'password') FROM account WHERE username = 'admin'), false) AS assigned
\gset
\if :assigned
SELECT 'admin=assigned';
\else
SELECT 'admin=' || CASE WHEN pg_temp.matches(hash, password) THEN 'default' ELSE 'other' END
FROM account JOIN known_account USING (username) WHERE username = 'admin';
SELECT 'recorded=assigned' FROM account WHERE username = '' AND pg_temp.matches(hash, :'password');
\endif
\if :open
SELECT 'known=' || username || ' ' || password FROM account JOIN known_account USING (username)
WHERE username <> 'admin' AND pg_temp.matches(hash, password) ORDER BY username;
\endif
