"""Data elements, data sets, categories, periods, the sample program and the migration history."""

import zlib
from datetime import date, timedelta

from offline.dump.copytext import Row
from offline.dump.objects import CREATED, Objects

MONTHLY = 10  # periodtypeid
# Ids and names as DHIS2 numbers them on its first start.
PERIOD_TYPES = (
    *("Daily", "Weekly", "WeeklyWednesday", "WeeklyThursday", "WeeklySaturday", "WeeklySunday", "BiWeekly"),
    *("Monthly", "BiMonthly", "Quarterly", "QuarterlyNov", "SixMonthly", "SixMonthlyApril", "SixMonthlyNov"),
    *("Yearly", "FinancialApril", "FinancialJuly", "FinancialSep", "FinancialOct", "FinancialNov"),
)
FIRST_PERIOD_TYPE = 3
LAST_MONTH = date(2026, 10, 1)
DISAGGREGATIONS = ("Under 5 years, Female", "Under 5 years, Male", "5 years and over, Female", "5 years and over, Male")
TOPICS = (
    "Fever",
    "Cough",
    "Diarrhoea",
    "Malaria tested",
    "Malaria treated",
    "Measles dose",
    "Antenatal visit",
    "Birth",
)
MEASURES = ("new cases", "repeat visits", "referred", "followed up", "stock at hand", "stock used")
# Migrations the dumped database has seen: how many of each DHIS2 line. All images of the project are newer.
MIGRATIONS = {"2.31": 8, "2.32": 24, "2.33": 30, "2.34": 28, "2.35": 26, "2.36": 32, "2.37": 30, "2.38": 32}
MIGRATIONS |= {"2.39": 30, "2.40": 34, "2.41": 48}


def months(number: int) -> list[date]:
    """Return the first days of `number` months, the newest last."""
    newest = LAST_MONTH.year * 12 + LAST_MONTH.month - 1
    return [date(index // 12, index % 12 + 1, 1) for index in range(newest - number + 1, newest + 1)]


def end_of_month(first: date) -> date:
    """Return the last day of the month that begins on `first`."""
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


class Metadata:
    """Rows of the metadata tables, and the ids that data values and events refer to."""

    def __init__(self, objects: Objects, facilities: list[int], number_of_months: int) -> None:
        """Make everything below one data set and one program."""
        self.objects = objects
        self.rows: dict[str, list[Row]] = {}
        self.categories()
        self.data_elements()
        self.data_set(facilities)
        self.periods(number_of_months)
        self.program()
        self.rows["flyway_schema_history"] = history()

    def categories(self) -> None:
        """Add the default combination and one by age and sex, with their option combinations."""
        kind = {"datadimensiontype": "DISAGGREGATION", "skiptotal": False}
        combos = [
            self.objects.shared("categorycomboid", name=name, code=name, **kind) for name in ("default", "Age and sex")
        ]
        options = [
            self.objects.identified(
                "categoryoptioncomboid", name=name, code=code, ignoreapproval=False, attributevalues={}
            )
            for code, name in [("default", "default"), *((f"COC_{i}", name) for i, name in enumerate(DISAGGREGATIONS))]
        ]
        self.default_combo, self.detailed_combo = (combo["categorycomboid"] for combo in combos)
        self.default_option, *self.detailed_options = (option["categoryoptioncomboid"] for option in options)
        self.rows |= {"categorycombo": combos, "categoryoptioncombo": options}

    def data_elements(self) -> None:
        """Add data elements; every other one is broken down by age and sex.

        `reported` pairs their ids with the ids of their option combinations.
        """
        elements: list[Row] = []
        self.reported: list[tuple[int, list[int]]] = []
        for number, name in enumerate(f"{topic}, {measure}" for topic in TOPICS for measure in MEASURES):
            detailed = number % 2 == 1
            element = self.objects.shared(
                "dataelementid",
                code=f"DE_{number:03d}",
                name=name,
                shortname=name[:50],
                valuetype="INTEGER_ZERO_OR_POSITIVE",
                domaintype="AGGREGATE",
                aggregationtype="SUM",
                categorycomboid=self.detailed_combo if detailed else self.default_combo,
                zeroissignificant=False,
                attributevalues={},
            )
            elements.append(element)
            options = self.detailed_options if detailed else [self.default_option]
            self.reported.append((element["dataelementid"], options))
        self.rows["dataelement"] = elements

    def data_set(self, facilities: list[int]) -> None:
        """Add the monthly data set with all data elements, reported by all facilities."""
        data_set = self.objects.shared(
            "datasetid",
            code="DS_MONTHLY",
            name="Monthly facility report",
            shortname="Monthly facility report",
            periodtypeid=MONTHLY,
            categorycomboid=self.default_combo,
            mobile=False,
            version=1,
            attributevalues={},
        )
        key = data_set["datasetid"]
        self.rows["dataset"] = [data_set]
        self.rows["datasetsource"] = [{"sourceid": facility, "datasetid": key} for facility in facilities]
        self.rows["datasetelement"] = [
            {"datasetelementid": next(self.objects.ids), "datasetid": key, "dataelementid": element}
            for element, _ in self.reported
        ]

    def periods(self, number: int) -> None:
        """Add the period types and `number` months up to the newest; `months` pairs period ids with first days."""
        self.months = [(next(self.objects.ids), first) for first in months(number)]
        self.rows["periodtype"] = [
            {"periodtypeid": key, "name": name} for key, name in enumerate(PERIOD_TYPES, FIRST_PERIOD_TYPE)
        ]
        self.rows["period"] = [
            {"periodid": key, "periodtypeid": MONTHLY, "startdate": first, "enddate": end_of_month(first)}
            for key, first in self.months
        ]

    def program(self) -> None:
        """Add a program with registration, one repeatable stage, and the type of what it tracks."""
        names = {"name": "Sample person", "shortname": "Sample person"}
        kind = self.objects.shared(
            "trackedentitytypeid", **names, allowauditlog=False, featuretype="NONE", attributevalues={}
        )
        program = self.objects.shared(
            "programid",
            name="Sample follow-up",
            shortname="Sample follow-up",
            type="WITH_REGISTRATION",
            skipoffline=False,
            version=1,
            accesslevel="OPEN",
            categorycomboid=self.default_combo,
            trackedentitytypeid=kind["trackedentitytypeid"],
            attributevalues={},
            categorymappings=[],
        )
        stage = self.objects.shared(
            "programstageid",
            name="Visit",
            mindaysfromstart=0,
            programid=program["programid"],
            repeatable=True,
            sort_order=1,
            validationstrategy="ON_COMPLETE",
            enableuserassignment=False,
            referral=False,
            attributevalues={},
        )
        self.rows |= {"trackedentitytype": [kind], "program": [program], "programstage": [stage]}


def history() -> list[Row]:
    """Return Flyway's history: the base schema, then the migrations of every line up to 2.41."""
    done: list[tuple[str, str, str, str, int | None]] = [
        ("2.30.0", "Base schema", "JDBC", "org.hisp.dhis.db.migration.base.V2_30_0__Base_schema", None)
    ]
    for line, number in MIGRATIONS.items():
        for step in range(1, number + 1):
            script = f"{line}/V{line.replace('.', '_')}_{step}__Sample_change_{step}.sql"
            # Flyway's checksum is a CRC-32 as a signed 32-bit integer.
            checksum = zlib.crc32(script.encode()) - (1 << 31)
            done.append((f"{line}.{step}", f"Sample change {step}", "SQL", script, checksum))
    return [
        {
            "installed_rank": rank,
            "version": version,
            "description": description,
            "type": kind,
            "script": script,
            "checksum": checksum,
            "installed_by": "dhis",
            "installed_on": CREATED,
            "execution_time": rank % 40,
            "success": True,
        }
        for rank, (version, description, kind, script, checksum) in enumerate(done, 1)
    ]
