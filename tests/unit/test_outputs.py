"""The commands among the outputs of `pulumi up`, and the Docker names in them."""

import pytest

from cli.app import NAME, VERBS
from components.naming import Naming
from tests.support.program import PREFIX, STACK, Run

COMMANDS = {
    "status": f"dhis2-cluster status -s {STACK}",
    "logs": f"dhis2-cluster logs -f -s {STACK}",
    "psql": f"dhis2-cluster psql -s {STACK}",
}


@pytest.mark.parametrize("output", COMMANDS)
def test_an_output_names_the_command_of_this_stack(built: Run, output: str) -> None:
    assert built().outputs[output] == COMMANDS[output]
    command = COMMANDS[output].split()
    assert command[0] == NAME and command[1] in VERBS


def test_the_outputs_name_all_commands(built: Run) -> None:
    program, *others = str(built().outputs["otherCommands"]).partition(";")[0].replace(",", "").split()
    assert program == NAME
    assert {*COMMANDS, *others} == set(VERBS)


def test_names_are_in_lower_case() -> None:
    naming = Naming("dhis2-cluster", "Dev")
    assert naming.of("lb") == "dhis2-cluster-dev-lb", "`docker compose -p` takes no capitals"
    assert naming.labels("lb")["com.docker.compose.project"] == "dhis2-cluster-dev"


def test_all_containers_of_a_stack_have_its_label(built: Run) -> None:
    assert {container.labels.get("dhis2-cluster.stack") for container in built().containers} == {PREFIX}
    assert Naming("dhis2-cluster", "other").object_labels() != Naming("dhis2-cluster", "test").object_labels()
