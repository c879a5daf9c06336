-- Prints why DHIS2's user admin cannot log in with a password alone, whatever the password is; nothing when it can. The row
-- is read as JSON: not every release has every column.
SELECT coalesce(string_agg(reason, '; ' ORDER BY reason), '') FROM (
    SELECT unnest(ARRAY[
        CASE WHEN account ->> 'disabled' = 'true' THEN 'the account is disabled' END,
        CASE WHEN account ->> 'externalauth' = 'true' THEN 'the account logs in through another service' END,
        CASE WHEN (account ->> 'accountexpiry')::timestamp < now() THEN 'the account has expired' END,
        CASE WHEN account ->> 'twofactortype' ~ '^(TOTP|EMAIL)_ENABLED$' OR account ->> 'twofa' = 'true'
            THEN 'the account has two-factor authentication' END
    ]) AS reason
    FROM (SELECT to_jsonb(u) AS account FROM public.userinfo u WHERE username = 'admin') accounts
    UNION ALL
    SELECT 'the database has no such user' WHERE NOT EXISTS (SELECT FROM public.userinfo WHERE username = 'admin')
) reasons WHERE reason IS NOT NULL;
