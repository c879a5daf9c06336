-- A database with everything that makes a dump hard to filter. Its dumps must restore into the same database.
CREATE SCHEMA "odd; name";
CREATE DOMAIN public.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE public.mood AS ENUM ('it''s; fine', 'CREATE INDEX', '$$');
CREATE TYPE public.pair AS (a integer, b text);

CREATE FUNCTION public.semicolons(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $body$
BEGIN
    -- CREATE INDEX no ON public.parent USING btree (id);
    IF $1 = 'a;b' THEN
        RETURN 'it''s $$ quoted $$;';
    END IF;
    RETURN $1;
END;
$body$;
CREATE FUNCTION public.atomic(x integer) RETURNS integer LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE WHEN x > 1 THEN 1 ELSE 2 END;
    SELECT x + 1;
END;
CREATE FUNCTION public.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END; $$;
CREATE AGGREGATE public.added (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');

CREATE TABLE public.parent (
    id integer PRIMARY KEY,
    label text DEFAULT 'a;b -- c' NOT NULL,
    CONSTRAINT "named; check" CHECK (label <> E'\\;')
);
CREATE TABLE public.child (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent integer REFERENCES public.parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    other bigint REFERENCES public.child,
    share public.percent,
    feeling public.mood,
    pairing public.pair,
    spot geometry(Point, 4326),
    UNIQUE (parent, other)
);
-- References in a circle: no order of the two tables satisfies both.
ALTER TABLE public.parent ADD COLUMN favourite bigint REFERENCES public.child;
CREATE TABLE "odd; name"."Table ""x"" (y)" ("a;b" integer PRIMARY KEY, "group" text UNIQUE);
CREATE TABLE public.parts (id integer, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE public.parts_old PARTITION OF public.parts FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE public.parts_new PARTITION OF public.parts FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
CREATE INDEX parts_at ON public.parts (at);
CREATE TABLE public.of_parts (id integer, at date, FOREIGN KEY (id, at) REFERENCES public.parts);
CREATE TABLE public.doubted (id integer);
CREATE TABLE public.serial_one (id serial, EXCLUDE USING gist (id WITH =));

INSERT INTO public.parent SELECT n, E'CREATE INDEX x ON y USING btree (z);\nCOPY a FROM stdin;\n\\.\n-- ' || n FROM generate_series(1, 50) n;
INSERT INTO public.parent VALUES (60, 'tab	and '' quote'' and \ and $$ and /* and "');
INSERT INTO public.child (parent, share, feeling, pairing, spot)
    SELECT n, n, 'it''s; fine', ROW(n::integer, ');')::public.pair, ST_SetSRID(ST_MakePoint(n, n), 4326) FROM generate_series(1, 50) n;
UPDATE public.child SET other = id;
UPDATE public.parent SET favourite = 1;
INSERT INTO "odd; name"."Table ""x"" (y)" VALUES (1, NULL), (2, ''), (3, '\N');
INSERT INTO public.parts VALUES (1, '2019-01-01'), (2, '2021-01-01');
INSERT INTO public.of_parts VALUES (1, '2019-01-01');
INSERT INTO public.doubted VALUES (999);
ALTER TABLE public.doubted ADD CONSTRAINT doubted_fk FOREIGN KEY (id) REFERENCES public.parent NOT VALID;
INSERT INTO public.serial_one DEFAULT VALUES;

CREATE INDEX "index; of" ON public.parent USING btree (public.semicolons(label)) WHERE label <> 'x;y';
CREATE INDEX child_trgm ON public.parent USING gin (label gin_trgm_ops);
CREATE INDEX child_spot ON public.child USING gist (spot);
CREATE UNIQUE INDEX child_unique ON public.child USING btree (share) WHERE share > 0;
ALTER TABLE public.child CLUSTER ON child_spot;
CREATE STATISTICS public.child_statistics ON parent, other FROM public.child;

-- Depends on a key, so pg_dump writes it after the keys, and so do those on top of it.
CREATE VIEW public.grouped AS SELECT id, label, count(*) AS n FROM public.parent GROUP BY id;
CREATE MATERIALIZED VIEW public.kept AS SELECT id, n FROM public.grouped WITH DATA;
CREATE UNIQUE INDEX kept_id ON public.kept USING btree (id);
CREATE VIEW public.on_top AS SELECT count(*) AS n FROM public.kept;
CREATE RULE ruled AS ON INSERT TO public.grouped DO INSTEAD (INSERT INTO public.parent VALUES (NEW.id, ';'); SELECT 1);
CREATE TRIGGER "trigger; one" BEFORE UPDATE ON public.parent FOR EACH ROW EXECUTE FUNCTION public.touched();
ALTER TABLE public.child ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON public.child USING (true);
COMMENT ON INDEX public.child_spot IS 'where; it is';
COMMENT ON TABLE public.parent IS 'GRANT ALL ON SCHEMA public TO nobody;';
SELECT lo_from_bytea(4242, 'large; object');

CREATE ROLE "stranger; role" NOLOGIN;
GRANT SELECT ON public.parent TO "stranger; role";
ALTER TABLE public.doubted OWNER TO "stranger; role";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO "stranger; role";
