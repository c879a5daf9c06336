DO $$ BEGIN RAISE EXCEPTION 'preloaded can only be loaded via shared_preload_libraries'; END $$;
