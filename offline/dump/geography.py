"""Organisation units: a made-up country on a grid, with PostGIS geometry on every level."""

from dataclasses import dataclass

from offline.dump.copytext import Row, point, polygon
from offline.dump.objects import ADMIN_ID, Objects, random_of

PROVINCES = 8
DISTRICTS = 5  # in each province
FACILITIES = 16  # in each district
WEST, SOUTH = -31.0, 2.0  # open ocean, in no country
DISTRICT_DEGREES = 0.5
FACILITY_LEVEL = 4
SYLLABLES = ("ba", "do", "fe", "gu", "ka", "lo", "mi", "na", "po", "ri", "sa", "tu", "wa", "ye", "zo", "mbe")


@dataclass(frozen=True)
class Place:
    """A rectangle in degrees."""

    west: float
    south: float
    width: float
    height: float

    @property
    def geometry(self) -> str:
        """The rectangle as a polygon."""
        east, north = self.west + self.width, self.south + self.height
        corners = [(self.west, self.south), (east, self.south), (east, north), (self.west, north)]
        return polygon([*corners, corners[0]])


class Geography:
    """Rows of organisationunit, orgunitgroup and orgunitgroupmembers; `facilities` are the ids that report data."""

    def __init__(self, objects: Objects) -> None:
        """Lay out country, provinces, districts and facilities."""
        self.objects = objects
        self.source = random_of("organisationunit")
        self.units: list[Row] = []
        self.facilities: list[int] = []
        wide, high = DISTRICT_DEGREES, DISTRICT_DEGREES * DISTRICTS
        country = self.unit("Sample Islands", None, Place(WEST, SOUTH, wide * PROVINCES, high).geometry)
        for column in range(PROVINCES):
            place = Place(WEST + column * wide, SOUTH, wide, high)
            province = self.unit(f"{self.name()} Province", country, place.geometry)
            for row in range(DISTRICTS):
                self.district(province, Place(place.west, SOUTH + row * wide, wide, wide))
        self.groups, self.members = self.grouped()

    def district(self, province: Row, place: Place) -> None:
        """Add a district and its facilities, each a point inside it."""
        district = self.unit(f"{self.name()} District", province, place.geometry)
        for _ in range(FACILITIES):
            longitude = place.west + self.source.uniform(0.01, 0.99) * place.width
            latitude = place.south + self.source.uniform(0.01, 0.99) * place.height
            kind = self.source.choice(("Clinic", "Health Post", "Health Centre", "Hospital"))
            facility = self.unit(f"{self.name()} {kind}", district, point(round(longitude, 6), round(latitude, 6)))
            self.facilities.append(facility["organisationunitid"])

    def name(self) -> str:
        """Return a made-up place name; the same one may come twice, as in any country."""
        return "".join(self.source.choices(SYLLABLES, k=self.source.randint(2, 4))).capitalize()

    def unit(self, name: str, parent: Row | None, geometry: str) -> Row:
        """Add one organisation unit below its parent."""
        row = self.objects.identified("organisationunitid", name=name, shortname=name[:50], geometry=geometry)
        row |= {
            "code": f"OU_{len(self.units):05d}",
            "parentid": parent["organisationunitid"] if parent else None,
            "path": f"{parent['path'] if parent else ''}/{row['uid']}",
            "hierarchylevel": parent["hierarchylevel"] + 1 if parent else 1,
            "openingdate": "2010-01-01",
            "userid": ADMIN_ID,
            "lastupdatedby": ADMIN_ID,
            "translations": [],
            "attributevalues": {},
        }
        self.units.append(row)
        return row

    def grouped(self) -> tuple[list[Row], list[Row]]:
        """Return groups by kind of facility, and their members."""
        groups: list[Row] = []
        members: list[Row] = []
        for kind in ("Clinic", "Health Post", "Health Centre", "Hospital"):
            group = self.objects.shared("orgunitgroupid", name=f"{kind}s", shortname=f"{kind}s", attributevalues={})
            groups.append(group)
            members += [
                {"organisationunitid": unit["organisationunitid"], "orgunitgroupid": group["orgunitgroupid"]}
                for unit in self.units
                if unit["name"].endswith(f" {kind}")
            ]
        return groups, members
