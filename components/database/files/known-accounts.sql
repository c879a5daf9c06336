-- Well-known user names and passwords: of every blank database and of the dumps DHIS2 publishes, as its
-- documentation and its tests name them.
CREATE TEMP TABLE known_account (username text, password text);
INSERT INTO known_account VALUES
    ('admin', 'district'), ('system', 'System123'), ('android', 'Android123'), ('tasuperadmin', 'Test1212?');
