-- Prints the bcrypt hash of the password in :file. psql reads the file, so that the password is on no command line, and no
-- failing statement is shown or logged. Run in the database postgres: it leaves no extension in DHIS2's.
\set VERBOSITY terse
SET log_min_error_statement = panic;
SET log_statement = none;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
\set password `cat :'file'`
SELECT crypt(:'password', gen_salt('bf', 10));
