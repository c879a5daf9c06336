-- At each start of a primary: a row that its standbys receive as well. PostgreSQL gives a primary that is restored from an
-- older backup no new timeline, and once it has written more than its standby has, no LSN tells them apart. A standby that
-- has a row its primary has not, or lacks one from before its own LSN, has streamed from another past.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS server_starts (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lsn pg_lsn -- one at which the row is committed
);
GRANT SELECT ON server_starts TO replicator;
INSERT INTO server_starts (id) VALUES (:'id');
UPDATE server_starts SET lsn = pg_current_wal_insert_lsn() WHERE id = :'id';
DELETE FROM server_starts WHERE id NOT IN (SELECT id FROM server_starts ORDER BY started_at DESC LIMIT 200);
