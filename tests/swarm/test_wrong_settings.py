"""Settings that do not fit the swarm: `pulumi up` says so in one message, and nothing is deployed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.swarm.lab import Swarm
from tests.swarm.stacks import SwarmStack, errors_of

pytestmark = pytest.mark.swarm

# With them a stack fits.
SETTINGS: dict[str, object] = {
    "primaryNode": "node-2",
    "replicaNodes": "node-3",
    "dumpUrl": "none",
    "fileStore": "s3://files?endpoint=http://s3.example.org",
}
# what is wrong -> the settings that are, on a swarm, and what the message says
WRONG: dict[str, tuple[Callable[[Swarm], dict[str, object]], tuple[str, ...]]] = {
    "a worker as dockerHost": (
        lambda swarm: {"dockerHost": swarm.nodes[1].docker_host},
        (
            "is a worker, and only a manager takes changes (managers: ",
            "pulumi config set dockerHost ssh://user@manager",
        ),
    ),
    "a node that is not there": (
        lambda _: {"cacheNode": "node-9"},
        ("cacheNode: the swarm has no node node-9. Its nodes: node-1 (manager, ready", "pulumi config set cacheNode"),
    ),
    "files on one of several nodes": (
        lambda _: {"fileStore": "volume"},
        ("cores run on any of 3", "pulumi config set fileStore s3://"),
    ),
    "more memory than a node has": (
        lambda _: {"databaseMemory": "900g"},
        ("the databases on node-2 may use 921600 MB of memory, and it has ", "pulumi config set databaseMemory "),
    ),
}


@pytest.mark.parametrize(("wrong", "texts"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_the_swarm_is_refused_in_one_message_and_nothing_is_deployed(
    swarm: Swarm, tmp_path: Path, wrong: Callable[[Swarm], dict[str, object]], texts: tuple[str, ...]
) -> None:
    stack = SwarmStack(swarm, "wrong", tmp_path / "stack", **SETTINGS | wrong(swarm))
    stack.stack.set_secret(fileStoreAccessKey="an-access-key", fileStoreSecretKey="its-secret-key")
    (message,) = errors_of(stack.stack.failing_up())
    for text in texts:
        assert text in message
    assert stack.leftovers() == []
