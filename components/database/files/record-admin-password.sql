-- Records what was set for the user admin, from the file admin-set. COPY, because a failing statement is logged.
SET client_min_messages = warning;
\i /opt/dhis2-cluster/create-admin-password.sql
BEGIN;
DELETE FROM dhis2_cluster.admin_password;
\copy dhis2_cluster.admin_password from '/var/run/postgresql/admin-set'
COMMIT;
