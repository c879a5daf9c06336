"""The big tables, streamed: data values of every month, and what the program tracks."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import cycle

from offline.dump.copytext import Row, point
from offline.dump.geography import SOUTH, WEST
from offline.dump.metadata import Metadata
from offline.dump.objects import CREATED, random_of, uid

# Primes: the columns of the value table run out of step, so that no two months look alike.
DIFFERENT_VALUES = 9973
DIFFERENT_TAILS = 97
EVENTS_PER_ENROLLMENT = 4


def data_values(metadata: Metadata, facilities: list[int], rows: int) -> Iterator[str]:
    """Yield exactly `rows` data values as COPY text, one chunk per month and data element.

    Built from parts prepared beforehand: several hundred thousand rows a second, so that a gigabyte takes a minute.
    """
    source = random_of("datavalue")
    values = cycle([str(int(source.lognormvariate(3, 1))) for _ in range(DIFFERENT_VALUES)])
    default = metadata.default_option
    for period, first in reversed(metadata.months):
        tails = cycle(value_tails(first))
        for element, options in metadata.reported:
            pairs = [f"{facility}\t{option}\t{default}\t" for facility in facilities for option in options][:rows]
            start = f"{element}\t{period}\t"
            chosen = zip(pairs, values, tails, strict=False)
            yield "".join([f"{start}{pair}{value}{tail}" for pair, value, tail in chosen])
            rows -= len(pairs)
            if rows == 0:
                return


def value_tails(first: date) -> list[str]:
    """Return endings of data value lines: who stored it, when, remarks and flags, in the month after `first`."""
    source = random_of(f"datavalue/{first}")
    month_after = datetime(first.year, first.month, 1) + timedelta(days=32)
    tails = []
    for _ in range(DIFFERENT_TAILS):
        created = month_after + timedelta(seconds=source.randrange(20 * 86400))
        updated = created + timedelta(seconds=source.randrange(5 * 86400))
        remark = source.choices(("Checked against the register", r"\N"), weights=(3, 97))[0]
        followup, deleted = source.choices("tf", weights=(1, 99), k=2)
        user = f"sample{source.randint(1, 20):02d}"
        tails.append(f"\t{user}\t{created}\t{updated}\t{remark}\t{followup}\t{deleted}\n")
    return tails


class Tracker:
    """Rows of trackedentity, enrollment and event; ids follow from the position, so each table streams by itself."""

    def __init__(self, metadata: Metadata, facilities: list[int], number: int) -> None:
        """Track `number` people, each enrolled once, with a few events."""
        self.number = number
        self.facilities = facilities
        self.kind = metadata.rows["trackedentitytype"][0]["trackedentitytypeid"]
        self.program = metadata.rows["program"][0]["programid"]
        self.stage = metadata.rows["programstage"][0]["programstageid"]
        self.default_option = metadata.default_option
        self.elements = [row["uid"] for row in metadata.rows["dataelement"][:6]]

    def shared(self, position: int, identity: str) -> Row:
        """Return the columns the three tables have in common."""
        facility = self.facilities[position % len(self.facilities)]
        stamps = {"created": CREATED, "lastupdated": CREATED, "deleted": False, "storedby": "admin"}
        return {"uid": identity, "organisationunitid": facility, **stamps}

    def entities(self) -> Iterator[Row]:
        """Yield the tracked people."""
        source = random_of("trackedentity")
        never = {"lastsynchronized": "1970-01-01 00:00:00", "inactive": False, "potentialduplicate": False}
        for position in range(self.number):
            shared = self.shared(position, uid(source))
            geometry = point(round(WEST + source.random() * 4, 5), round(SOUTH + source.random() * 2.5, 5))
            key = {"trackedentityid": position + 1, "trackedentitytypeid": self.kind, "geometry": geometry}
            yield shared | never | key

    def enrollments(self) -> Iterator[Row]:
        """Yield one enrollment for each person."""
        source = random_of("enrollment")
        for position in range(self.number):
            key = {"enrollmentid": position + 1, "trackedentityid": position + 1, "programid": self.program}
            shared = self.shared(position, uid(source))
            yield shared | key | {"enrollmentdate": CREATED, "status": "ACTIVE", "followup": False}

    def events(self) -> Iterator[Row]:
        """Yield the visits, with data values as JSON and the place they were made."""
        source = random_of("event")
        start = datetime(2025, 1, 1)
        for number in range(self.number * EVENTS_PER_ENROLLMENT):
            position = number // EVENTS_PER_ENROLLMENT
            happened = start + timedelta(minutes=source.randrange(600 * 1440))
            chosen = source.sample(self.elements, 3)
            stored = {"created": happened.isoformat(), "storedBy": "admin", "providedElsewhere": False}
            yield self.shared(position, uid(source)) | {
                "eventid": number + 1,
                "enrollmentid": position + 1,
                "programstageid": self.stage,
                "attributeoptioncomboid": self.default_option,
                "lastsynchronized": "1970-01-01 00:00:00",
                "occurreddate": happened,
                "scheduleddate": happened,
                "status": source.choices(("COMPLETED", "ACTIVE"), weights=(7, 3))[0],
                "geometry": point(round(WEST + source.random() * 4, 5), round(SOUTH + source.random() * 2.5, 5)),
                "eventdatavalues": {element: {"value": str(source.randint(0, 99)), **stored} for element in chosen},
            }


def needed_months(per_month: int, rows: int) -> int:
    """Return how many months of reports hold `rows` data values; at least a year, so that there is a history."""
    return max(12, -(-rows // per_month))
