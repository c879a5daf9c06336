"""What the load balancer takes of a machine with many processors and of an engine with small limits."""

import resource

import pytest
from docker.models.containers import Container
from docker.types import Ulimit

from components.load_balancer.sizing import MEMORY_MB
from tests.container.balancing import load_balancer
from tests.support.commands import shell_output
from tests.support.containers import Containers
from tests.support.http import ask

pytestmark = pytest.mark.container

PROCESSORS = 64
# An engine cannot give more than this machine allows itself.
HARD = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 2**20)
# Not on /tmp: what is there cannot be run.
MANY = f"cd /var/tmp && echo 'echo {PROCESSORS}' >nproc && chmod 755 nproc && PATH=/var/tmp:$PATH && exec /bin/sh "
WORKERS = "grep -l '^nginx: worker' /proc/[0-9]*/cmdline"


@pytest.fixture(scope="module")
def balancer(containers: Containers) -> Container:
    """A load balancer on an engine that gives a process 1024 files at first and says it has many processors."""
    limits = [Ulimit(name="nofile", soft=1024, hard=HARD)]
    return load_balancer(containers, before=MANY, ulimits=limits)


def test_many_processors_do_not_fill_its_memory(containers: Containers, balancer: Container) -> None:
    assert len(shell_output(balancer, WORKERS).splitlines()) == 4, "each takes 7 MB before the first request"
    used = containers.client.api.stats(str(balancer.id), stream=False)["memory_stats"]["usage"] / 2**20
    assert used < MEMORY_MB / 2, f"{used:.0f} of {MEMORY_MB} MB are gone before anybody asks"


def test_each_worker_may_open_a_file_for_each_connection(containers: Containers, balancer: Container) -> None:
    for worker in shell_output(balancer, WORKERS).splitlines():
        limits = shell_output(balancer, f"cat {worker.removesuffix('cmdline')}limits")
        (line,) = [line.split() for line in limits.splitlines() if line.startswith("Max open files")]
        assert int(line[3]) == HARD, "with 1024 it would serve five hundred people and leave the others hanging"
    assert ask(containers.address(balancer), "/lb/health")[0] == 200
