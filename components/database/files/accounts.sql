-- Prints user name and password hash of the user admin, and of the other known accounts that are not disabled. And the hash
-- that was set last for admin, without a user name; again as `generated` where that password was.
SET client_min_messages = warning;
\i /opt/dhis2-cluster/known-accounts.sql
\i /opt/dhis2-cluster/create-admin-password.sql
COPY (
    SELECT username, account.password FROM public.userinfo account JOIN known_account USING (username)
    WHERE username = 'admin' OR to_jsonb(account) ->> 'disabled' IS DISTINCT FROM 'true'
    UNION ALL SELECT '', hash FROM dhis2_cluster.admin_password
    UNION ALL SELECT 'generated', hash FROM dhis2_cluster.admin_password WHERE is_generated
) TO STDOUT;
