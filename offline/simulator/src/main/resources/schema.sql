-- The tables the simulator uses, with DHIS2's names, types and keys, as far as the database does not have them.
create sequence if not exists hibernate_sequence;

create table if not exists userinfo (
  userinfoid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint, creatoruserid bigint,
  surname varchar(160) not null, firstname varchar(160) not null, email varchar(160), phonenumber varchar(80),
  attributevalues jsonb default '{}', username varchar(255) unique, password varchar(60), secret text,
  externalauth boolean, passwordlastupdated timestamp, lastlogin timestamp, selfregistered boolean,
  invitation boolean, disabled boolean, uuid uuid unique, accountexpiry timestamp,
  twofactortype varchar(50) not null default 'NOT_ENABLED');

create table if not exists userrole (
  userroleid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null unique, description varchar(255), userid bigint references userinfo,
  publicaccess varchar(8), translations jsonb, sharing jsonb default '{}');

create table if not exists userroleauthorities (
  userroleid bigint not null references userrole, authority varchar(255), unique (userroleid, authority));

create table if not exists userrolemembers (
  userroleid bigint not null references userrole, userid bigint not null references userinfo,
  primary key (userid, userroleid));

create table if not exists organisationunit (
  organisationunitid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null, shortname varchar(50) not null, parentid bigint references organisationunit,
  path varchar(255) unique, hierarchylevel integer, description text, openingdate date not null, closeddate date,
  comment text, userid bigint references userinfo, translations jsonb, geometry geometry(Geometry, 4326),
  attributevalues jsonb default '{}');

create table if not exists categorycombo (
  categorycomboid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null unique, datadimensiontype varchar(255) not null, skiptotal boolean not null,
  userid bigint references userinfo, publicaccess varchar(8), translations jsonb, sharing jsonb default '{}');

create table if not exists categoryoptioncombo (
  categoryoptioncomboid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name text, ignoreapproval boolean, translations jsonb, attributevalues jsonb default '{}');

create table if not exists dataelement (
  dataelementid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null unique, shortname varchar(50) not null unique, description text,
  valuetype varchar(50) not null, domaintype varchar(255) not null, aggregationtype varchar(50) not null,
  categorycomboid bigint not null references categorycombo, zeroissignificant boolean not null,
  userid bigint references userinfo, translations jsonb, attributevalues jsonb default '{}',
  sharing jsonb default '{}');

create table if not exists periodtype (periodtypeid integer primary key, name varchar(50) not null);

create table if not exists period (
  periodid bigint primary key, periodtypeid integer references periodtype, startdate date not null,
  enddate date not null, unique (periodtypeid, startdate, enddate));

create table if not exists datavalue (
  dataelementid bigint not null references dataelement, periodid bigint not null references period,
  sourceid bigint not null references organisationunit,
  categoryoptioncomboid bigint not null references categoryoptioncombo,
  attributeoptioncomboid bigint not null references categoryoptioncombo,
  value varchar(50000), storedby varchar(255), created timestamp not null, lastupdated timestamp not null,
  comment varchar(50000), followup boolean, deleted boolean not null,
  primary key (dataelementid, periodid, sourceid, categoryoptioncomboid, attributeoptioncomboid));

create table if not exists fileresource (
  fileresourceid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null, contenttype varchar(255) not null, contentlength bigint not null,
  contentmd5 varchar(32) not null, storagekey varchar(1024) not null unique, isassigned boolean not null,
  domain varchar(40), userid bigint references userinfo, hasmultiplestoragefiles boolean,
  fileresourceowner varchar(255));

create table if not exists jobconfiguration (
  jobconfigurationid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  name varchar(230) not null unique, cronexpression varchar(255), lastexecuted timestamp, enabled boolean not null,
  jsonbjobparameters jsonb, jobtype varchar(120) not null, jobstatus varchar(120) not null,
  lastexecutedstatus varchar(120) not null, delay integer, queuename varchar(50), queueposition integer,
  executedby varchar(11), schedulingtype varchar(12) not null default 'ONCE_ASAP', lastalive timestamp,
  lastfinished timestamp, cancel boolean not null default false, progress jsonb, errorcodes text);

create table if not exists systemsetting (
  systemsettingid bigint primary key, name varchar(255) not null unique, value text);

create table if not exists userkeyjsonvalue (
  userkeyjsonvalueid bigint primary key, uid varchar(11) not null unique, code varchar(50) unique,
  created timestamp not null, lastupdated timestamp not null, lastupdatedby bigint references userinfo,
  userid bigint not null references userinfo, namespace varchar(255) not null, userkey varchar(255) not null,
  encrypted_value varchar(255), encrypted boolean, jbvalue jsonb, unique (userid, namespace, userkey));
