-- Prints the fingerprint of the password in :file with :salt: PBKDF2 with HMAC-SHA-256 (RFC 8018), slow on purpose. psql
-- reads the file, so that the password is on no command line, and no failing statement is shown or logged. It is written out here
-- because images may lack the extension pgcrypto.
\set VERBOSITY terse
SET log_min_error_statement = panic;
SET log_statement = none;
CREATE FUNCTION pg_temp.pbkdf2(password text, salt text, iterations integer) RETURNS bit(256) LANGUAGE plpgsql AS $$
DECLARE
    key bytea := convert_to(password, 'UTF8');
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
    hash bytea;
    result bit(256);
BEGIN
    IF length(key) > 64 THEN
        key := sha256(key);
    END IF;
    FOR i IN 0..length(key) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
    END LOOP;
    hash := sha256(outer_pad || sha256(inner_pad || convert_to(salt, 'UTF8') || '\x00000001'));
    result := ('x' || encode(hash, 'hex'))::bit(256);
    FOR i IN 2..iterations LOOP
        hash := sha256(outer_pad || sha256(inner_pad || hash));
        result := result # ('x' || encode(hash, 'hex'))::bit(256);
    END LOOP;
    RETURN result;
END
$$;
\set password `cat :'file'`
SELECT 'pbkdf2-sha256$' || :iterations || '$' || :'salt' || '$'
    || string_agg(lpad(to_hex(substring(hash FROM at FOR 32)::bigint), 8, '0'), '' ORDER BY at)
FROM pg_temp.pbkdf2(:'password', :'salt', :iterations) hash, generate_series(1, 256, 32) at;
