"""What every DHIS2 object of the dump has: an id, a uid, dates, an owner; all from one seed."""

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from offline.dump.copytext import Row

SEED = 20412
FIRST_ID = 1001
ADMIN_ID = 1000
ADMIN_UID = "SampleAdmin"
SHARING = {"owner": ADMIN_UID, "users": {}, "public": "rw------", "external": False, "userGroups": {}}
CREATED = "2024-01-15 08:00:00"
LETTERS = string.ascii_letters
ALPHANUMERIC = string.ascii_letters + string.digits


def random_of(purpose: str) -> random.Random:
    """Return the generator of one purpose: content of one table does not move when another table grows."""
    return random.Random(f"{SEED}/{purpose}")  # noqa: S311 - must repeat, nothing secret comes from it


def uid(source: random.Random) -> str:
    """Return a DHIS2 uid: a letter and ten letters or digits."""
    return source.choice(LETTERS) + "".join(source.choices(ALPHANUMERIC, k=10))


@dataclass
class Objects:
    """Hands out ids, from one sequence as DHIS2 does, and the columns all objects share."""

    ids: Iterator[int] = field(default_factory=lambda: count(FIRST_ID))
    source: random.Random = field(default_factory=lambda: random_of("objects"))

    def identified(self, key: str, **columns: object) -> Row:
        """Return a row with the shared columns of an object whose id column is `key`."""
        shared: Row = {key: next(self.ids), "uid": uid(self.source)}
        return shared | {"created": CREATED, "lastupdated": CREATED} | columns

    def shared(self, key: str, **columns: object) -> Row:
        """Return a row of an object with an owner and sharing settings."""
        owner = {"userid": ADMIN_ID, "lastupdatedby": ADMIN_ID, "translations": [], "sharing": SHARING}
        return self.identified(key, **owner, **columns)
