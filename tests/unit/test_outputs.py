"""The commands among the outputs of `pulumi up`, and the Docker names in them."""

import pytest

from components.naming import Naming
from tests.support.program import PREFIX, Run

COMMANDS = {
    "status": f"docker ps -a --filter label=dhis2-cluster.stack={PREFIX}",
    "logs": f"docker compose -p {PREFIX} logs -f",
    # The script that starts the server puts its socket there; without it psql looks elsewhere in some images.
    "psql": f"docker exec -it {PREFIX}-primary psql -h /var/run/postgresql -U postgres dhis",
}


@pytest.mark.parametrize("output", COMMANDS)
def test_a_command_in_the_outputs_works_as_it_is(built: Run, output: str) -> None:
    assert built().outputs[output] == COMMANDS[output]


def test_names_are_in_lower_case() -> None:
    naming = Naming("dhis2-cluster", "Dev")
    assert naming.of("lb") == "dhis2-cluster-dev-lb", "`docker compose -p` takes no capitals"
    assert naming.labels("lb")["com.docker.compose.project"] == "dhis2-cluster-dev"


def test_all_containers_of_a_stack_have_its_label(built: Run) -> None:
    assert {container.labels.get("dhis2-cluster.stack") for container in built().containers} == {PREFIX}
    assert Naming("dhis2-cluster", "other").object_labels() != Naming("dhis2-cluster", "test").object_labels()
