-- Gives DHIS2's user admin the hash in the file admin-hash, and prints `done` when there is such a user. Where the accounts
-- of a dump are before its migration depends on its release. COPY, because a failing statement is logged.
SELECT CASE
    WHEN EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'userinfo'
        AND column_name = 'password') THEN 'userinfo'
    WHEN to_regclass('public.users') IS NOT NULL THEN 'users' END AS accounts
\gset
\if :{?accounts}
CREATE TEMP TABLE admin_hash (hash text);
\copy admin_hash from '/var/run/postgresql/admin-hash'
UPDATE public.:"accounts" SET password = hash FROM admin_hash WHERE username = 'admin' RETURNING 'done';
SELECT count(*) > 0 AS dated FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = :'accounts' AND column_name = 'passwordlastupdated'
\gset
\if :dated
UPDATE public.:"accounts" SET passwordlastupdated = now() WHERE username = 'admin';
\endif
\endif
