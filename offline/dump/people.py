"""Users, roles, jobs, settings and the data stores."""

import uuid

from offline.dump.copytext import Row
from offline.dump.objects import ADMIN_ID, ADMIN_UID, CREATED, SHARING, Objects, random_of

# bcrypt of "district", the password of DHIS2's demo databases. A literal, as a fresh salt would change every dump.
DISTRICT_HASH = "$2a$10$SampleDumpOfDhis2Cluseu3cSgYbPhdD3Wh3ziA19sltG8P/KPHC"
AUTHORITIES = (
    "ALL",
    "F_VIEW_SERVER_INFO",
    "F_SYSTEM_SETTING",
    "F_METADATA_IMPORT",
    "F_DATAVALUE_ADD",
    "M_dhis-web-app",
)
SAMPLE_USERS = 20
SETTINGS = {
    "applicationTitle": "Sample database",
    "keyUiLocale": "en",
    "keyDateFormat": "yyyy-MM-dd",
    "keyAnalyticsMaxLimit": "100000",
}
JOBS = {
    "DATA_STATISTICS": ("Data statistics", "0 0 2 ? * *"),
    "FILE_RESOURCE_CLEANUP": ("File resource clean up", "0 30 2 ? * *"),
    "ANALYTICS_TABLE": ("Nightly analytics", "0 0 1 ? * *"),
    "SYSTEM_VERSION_UPDATE_CHECK": ("System version update check", "0 15 3 ? * *"),
}


def user(username: str, first: str, last: str, **columns: object) -> Row:
    """Return one user; all have the demo password."""
    return {
        "code": username,
        "created": CREATED,
        "lastupdated": CREATED,
        "firstname": first,
        "surname": last,
        "username": username,
        "password": DISTRICT_HASH,
        "passwordlastupdated": CREATED,
        "externalauth": False,
        "selfregistered": False,
        "invitation": False,
        "disabled": False,
        "attributevalues": {},
        "twofactortype": "NOT_ENABLED",
        "uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"user:{username}"),
        **columns,
    }


def people(objects: Objects, country: Row) -> dict[str, list[Row]]:
    """Return rows of the user tables: admin with every authority, and users who may enter data."""
    users = [user("admin", "Sample", "Administrator", userinfoid=ADMIN_ID, uid=ADMIN_UID)]
    for number in range(1, SAMPLE_USERS + 1):
        identity = objects.identified("userinfoid")
        key = {"userinfoid": identity["userinfoid"], "uid": identity["uid"]}
        users.append(user(f"sample{number:02d}", "Sample", f"User {number:02d}", **key, creatoruserid=ADMIN_ID))
    roles = [
        objects.shared("userroleid", name=name, description=name, code=name) for name in ("Superuser", "Data entry")
    ]
    superuser, entry = (role["userroleid"] for role in roles)
    granted: list[Row] = [{"userroleid": superuser, "authority": authority} for authority in AUTHORITIES]
    ids = [row["userinfoid"] for row in users]
    return {
        "userinfo": users,
        "userrole": roles,
        "userroleauthorities": [*granted, {"userroleid": entry, "authority": "F_DATAVALUE_ADD"}],
        "userrolemembers": [{"userroleid": superuser if one == ADMIN_ID else entry, "userid": one} for one in ids],
        "usermembership": [{"organisationunitid": country["organisationunitid"], "userinfoid": one} for one in ids],
    }


def system(objects: Objects) -> dict[str, list[Row]]:
    """Return rows of jobs, settings and both data stores."""
    source = random_of("stores")
    settings = [{"systemsettingid": next(objects.ids), "name": name, "value": SETTINGS[name]} for name in SETTINGS]
    jobs = [
        objects.identified(
            "jobconfigurationid",
            name=name,
            jobtype=kind,
            cronexpression=cron,
            enabled=kind != "ANALYTICS_TABLE",
            jobstatus="SCHEDULED",
            lastexecutedstatus="NOT_STARTED",
            schedulingtype="CRON",
            cancel=False,
        )
        for kind, (name, cron) in JOBS.items()
    ]
    store = [
        objects.identified(
            "keyjsonvalueid",
            userid=ADMIN_ID,
            sharing=SHARING,
            namespace=f"sample-app-{number % 4}",
            namespacekey=f"key-{number:03d}",
            encrypted=False,
            jbvalue={"number": number, "tags": source.sample(("a", "b", "c", "d"), 2), "note": 'quotes " and \\ live'},
        )
        for number in range(100)
    ]
    own = [
        objects.identified(
            "userkeyjsonvalueid",
            userid=ADMIN_ID,
            namespace="sample-app",
            userkey=f"key-{number:03d}",
            encrypted=False,
            jbvalue={"position": number, "open": source.choice((True, False))},
        )
        for number in range(50)
    ]
    return {"systemsetting": settings, "jobconfiguration": jobs, "keyjsonvalue": store, "userkeyjsonvalue": own}
