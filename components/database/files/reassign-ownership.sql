-- After a dump is restored: everything in it belongs to the role DHIS2 connects as, and can be read on a replica.
DROP SCHEMA IF EXISTS dhis2_cluster_restore CASCADE;
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
    END LOOP;
END
$$;
REASSIGN OWNED BY loader TO dhis;
DROP OWNED BY loader;
DROP ROLE loader;
