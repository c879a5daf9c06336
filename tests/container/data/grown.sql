-- A database as it grows over the years: extensions and their rows, foreign servers, roles, unlogged tables.
CREATE ROLE old_owner;
CREATE SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION postgis;
CREATE EXTENSION postgis_topology;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION cronlike;
CREATE EXTENSION preloaded;

CREATE TABLE public.settings (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "values" ext.hstore);
INSERT INTO public.settings ("values") VALUES ('a=>b'), ('CREATE=>"GRANT ALL; \\."');
ALTER TABLE public.settings OWNER TO old_owner;
GRANT SELECT ON public.settings TO old_owner;
SELECT topology.CreateTopology('districts', 4326);

-- A standard reference system that was changed, and one of one's own.
INSERT INTO public.spatial_ref_sys (srid, auth_name, auth_srid, srtext) VALUES (990001, 'our own', 1, 'LOCAL_CS["ours"]');
UPDATE public.spatial_ref_sys SET auth_name = 'changed' WHERE srid = 900913;

-- Rows, indexes, triggers and event triggers of extensions that another server may not have.
INSERT INTO cronlike.job (command) VALUES ('VACUUM'), (E'line\n\\.\nline');
CREATE INDEX job_command ON cronlike.job (command);
INSERT INTO public.preloaded_settings VALUES ('a', 'b');
CREATE EVENT TRIGGER on_change ON ddl_command_end EXECUTE FUNCTION cronlike.changed();

CREATE UNLOGGED TABLE public.analytics_parent (id integer PRIMARY KEY);
CREATE UNLOGGED TABLE public.analytics (id integer REFERENCES public.analytics_parent, up integer UNIQUE REFERENCES public.analytics (up));
INSERT INTO public.analytics_parent VALUES (1);
INSERT INTO public.analytics VALUES (1, NULL);

CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'elsewhere');
CREATE USER MAPPING FOR old_owner SERVER elsewhere OPTIONS (password 'mapped-password');
CREATE FOREIGN TABLE public.far (id integer) SERVER elsewhere;
CREATE PUBLICATION changes FOR ALL TABLES;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE fast LOCATION '';
CREATE TABLE public.fast_table (id integer PRIMARY KEY USING INDEX TABLESPACE fast) TABLESPACE fast;
