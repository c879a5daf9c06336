CREATE TABLE public.preloaded_settings (name text PRIMARY KEY, value text);
SELECT pg_catalog.pg_extension_config_dump('public.preloaded_settings', '');
