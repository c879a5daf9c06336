-- After a dump is restored: everything in it belongs to the role DHIS2 connects as.
DROP SCHEMA IF EXISTS dhis2_cluster_restore CASCADE;
REASSIGN OWNED BY loader TO dhis;
DROP OWNED BY loader;
DROP ROLE loader;
