"""The sample database as a whole: how big, with what in it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from offline.dump.copytext import Row, lines
from offline.dump.facts import Tracker, data_values, needed_months
from offline.dump.geography import DISTRICTS, FACILITIES, PROVINCES, Geography
from offline.dump.metadata import DISAGGREGATIONS, MEASURES, TOPICS, Metadata
from offline.dump.objects import Objects
from offline.dump.people import people, system
from offline.dump.schema import tables
from offline.dump.writer import Style, dump

ROWS = 300_000
TRACKED = 2_000
# Half of the data elements report once, half by age and sex.
VALUES_PER_MONTH = PROVINCES * DISTRICTS * FACILITIES * len(TOPICS) * len(MEASURES) // 2 * (1 + len(DISAGGREGATIONS))


@dataclass(frozen=True)
class Size:
    """How much to generate: `rows` data values and `tracked` people; everything else stays the same."""

    rows: int = ROWS
    tracked: int = TRACKED


def sample(size: Size, style: Style) -> Iterator[str]:
    """Yield the dump as text; the same size and style always give the same text."""
    objects = Objects()
    geography = Geography(objects)
    facilities = geography.facilities
    metadata = Metadata(objects, facilities, needed_months(VALUES_PER_MONTH, size.rows))
    tracker = Tracker(metadata, facilities, size.tracked)
    rows: dict[str, Iterable[Row]] = {
        **metadata.rows,
        **people(objects, geography.units[0]),
        **system(objects),
        "organisationunit": geography.units,
        "orgunitgroup": geography.groups,
        "orgunitgroupmembers": geography.members,
        "trackedentity": tracker.entities(),
        "enrollment": tracker.enrollments(),
        "event": tracker.events(),
    }
    content: dict[str, Iterable[str]] = {name: lines(tables()[name], of_table) for name, of_table in rows.items()}
    content["datavalue"] = data_values(metadata, facilities, size.rows)
    yield from dump(content, next(objects.ids), style)
