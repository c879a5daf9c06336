-- Prints user name and password hash of the user admin, and of the other known accounts that are not disabled.
SET client_min_messages = warning;
\i /opt/dhis2-cluster/known-accounts.sql
COPY (
    SELECT username, account.password FROM public.userinfo account JOIN known_account USING (username)
    WHERE username = 'admin' OR to_jsonb(account) ->> 'disabled' IS DISTINCT FROM 'true'
) TO STDOUT;
