-- Make unlogged tables and sequences logged: a replica cannot read others. One transaction for a table, so that a lock is
-- held for one at a time.
DO $$
DECLARE
    item regclass;
BEGIN
    -- A logged table cannot reference an unlogged one: those that reference none come first.
    LOOP
        SELECT oid INTO item FROM pg_class t
        WHERE relkind = 'r' AND relpersistence = 'u' AND NOT EXISTS (
            SELECT FROM pg_constraint JOIN pg_class other ON other.oid = confrelid
            WHERE contype = 'f' AND conrelid = t.oid AND confrelid <> t.oid AND other.relpersistence = 'u')
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        EXECUTE format('ALTER TABLE %s SET LOGGED', item);
        COMMIT;
    END LOOP;
    FOR item IN SELECT oid FROM pg_class WHERE relkind = 'S' AND relpersistence = 'u' LOOP
        EXECUTE format('ALTER SEQUENCE %s SET LOGGED', item);
    END LOOP;
END
$$;
