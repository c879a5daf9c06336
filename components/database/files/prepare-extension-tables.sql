-- What `loader` may do with what extensions have created: fill their tables, where rows that are there already stay
-- (spatial_ref_sys of PostGIS), and use their foreign data wrappers. All of it ends with the restore.
CREATE SCHEMA dhis2_cluster_restore;
GRANT USAGE ON SCHEMA dhis2_cluster_restore TO loader;
CREATE FUNCTION dhis2_cluster_restore.skip_existing() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    existing boolean;
BEGIN
    EXECUTE TG_ARGV[0] INTO existing USING NEW;
    IF existing THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('GRANT ALL ON SCHEMA %I TO loader', item.nspname);
        EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO loader', item.nspname);
        EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO loader', item.nspname);
    END LOOP;
    FOR item IN SELECT fdwname FROM pg_foreign_data_wrapper LOOP
        EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO loader', item.fdwname);
    END LOOP;
    FOR item IN
        SELECT format('%I.%I', nspname, relname) AS relation, string_agg(format('r.%1$I = ($1).%1$I', attname), ' AND ') AS same
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        JOIN pg_class t ON t.oid = indrelid
        JOIN pg_namespace n ON n.oid = relnamespace
        WHERE indisprimary AND indrelid IN (SELECT unnest(extconfig) FROM pg_extension)
        GROUP BY nspname, relname
    LOOP
        EXECUTE format('CREATE TRIGGER skip_existing BEFORE INSERT ON %s FOR EACH ROW
            EXECUTE FUNCTION dhis2_cluster_restore.skip_existing(%L)', item.relation,
            format('SELECT EXISTS (SELECT FROM %s r WHERE %s)', item.relation, item.same));
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER skip_existing', item.relation);
    END LOOP;
    -- For dumps whose rows come in any order. An older server leaves such a line out.
    IF current_setting('server_version_num')::integer >= 150000 THEN
        EXECUTE 'GRANT SET ON PARAMETER session_replication_role TO loader';
    END IF;
END
$$;
