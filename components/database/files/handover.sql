-- After a dump is loaded: everything in it goes to the role DHIS2 connects as, except what only a superuser may own.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT evtname FROM pg_event_trigger WHERE evtowner = 'loader'::regrole LOOP
        EXECUTE format('ALTER EVENT TRIGGER %I OWNER TO postgres', one.evtname);
    END LOOP;
    FOR one IN SELECT fdwname FROM pg_foreign_data_wrapper WHERE fdwowner = 'loader'::regrole LOOP
        EXECUTE format('ALTER FOREIGN DATA WRAPPER %I OWNER TO postgres', one.fdwname);
    END LOOP;
END
$$;
ALTER SCHEMA public OWNER TO dhis;
REASSIGN OWNED BY loader TO dhis;
DROP OWNED BY loader;
DROP ROLE loader;
