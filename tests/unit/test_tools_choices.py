"""The decisions of make: what a person has chosen is used, the rest follows from what the machine offers."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tools import choices
from tools.choices import ALWAYS, AUTO, NEVER, Machine
from tools.terminal import ToolError

ROOT = PurePosixPath("/checkout")
OWN_URL = "file:///checkout/.pulumi-state"


@pytest.mark.parametrize(
    ("text", "mode"), [("", AUTO), (" ", AUTO), ("auto", AUTO), ("always", ALWAYS), ("never", NEVER)]
)
def test_offline_is_one_of_three_modes(text: str, mode: str) -> None:
    assert choices.offline_mode(text) == mode, "an unset OFFLINE leaves the choice to the machine"


@pytest.mark.parametrize("text", ["yes", "1", "Always", "alwyas"])
def test_another_value_of_offline_is_refused_with_the_three_modes(text: str) -> None:
    with pytest.raises(ToolError, match=r"always, never and auto"):
        choices.offline_mode(text)


def test_a_checkout_without_anything_gets_its_own_state_home_and_passphrase() -> None:
    added = choices.additions(Machine(environment={}), AUTO, ROOT)
    assert added == {
        "PULUMI_BACKEND_URL": OWN_URL,
        "PULUMI_HOME": "/checkout/.tools/home",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/checkout/.passphrase",
    }, "plain pulumi needs these three and, with the official tools, nothing else"


SET = {
    "PULUMI_BACKEND_URL": "s3://states",
    "PULUMI_HOME": "/home/ada/.pulumi",
    "PULUMI_CONFIG_PASSPHRASE": "",
    "PULUMI_SKIP_UPDATE_CHECK": "false",
    "DOCKER_HOST": "unix:///run/user/1000/docker.sock",
}


@pytest.mark.parametrize("name", SET)
def test_a_variable_that_is_set_is_never_overridden(name: str) -> None:
    found = Machine(environment={name: SET[name]}, fake_plugins=True, docker_host="tcp://other:2375")
    added = choices.additions(found, ALWAYS, ROOT)
    assert name not in added, f"{name} was the person's choice"


def test_an_empty_passphrase_is_a_passphrase() -> None:
    added = choices.additions(Machine(environment={"PULUMI_CONFIG_PASSPHRASE": ""}), AUTO, ROOT)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in added, "Pulumi accepts an empty passphrase; a file would override it"


@pytest.mark.parametrize(
    ("found", "url"),
    [
        (Machine(environment={"PULUMI_BACKEND_URL": "gs://b"}, own_stacks=["dev"], login="https://x"), "gs://b"),
        (Machine(environment={"PULUMI_ACCESS_TOKEN": "t"}, own_stacks=["dev"]), "https:"),
        (Machine(environment={}, own_stacks=["dev"], login="https://x"), ""),
        (Machine(environment={}, login="file://~"), "file://~"),
        (Machine(environment={}), ""),
    ],
    ids=["variable", "token", "stacks live here", "login", "nothing"],
)
def test_the_backend_is_the_one_chosen_or_the_one_in_use(found: Machine, url: str) -> None:
    assert choices.backend(found)[0] == url, "a later login must not deploy this checkout's stacks a second time"


@pytest.mark.parametrize(
    "found",
    [
        Machine(environment={"PULUMI_ACCESS_TOKEN": "t"}),
        Machine(environment={}, login="https://api.example.org"),
        Machine(environment={"PULUMI_BACKEND_URL": "https://api.example.org"}),
    ],
    ids=["token", "login", "variable"],
)
def test_the_pulumi_service_keeps_secrets_itself(found: Machine) -> None:
    assert choices.additions(found, AUTO, ROOT) == {}, "with the service, nothing of the checkout's own is needed"


def test_a_salt_of_anothers_passphrase_leaves_asking_for_it_to_pulumi() -> None:
    found = Machine(environment={}, login="file://~", foreign_salt=True)
    assert choices.additions(found, AUTO, ROOT) == {}, "a generated passphrase would be refused as incorrect"


@pytest.mark.parametrize(
    "found",
    [
        Machine(environment={}, foreign_salt=True),
        Machine(environment={}, login="file://~", foreign_salt=True, own_passphrase=True),
    ],
    ids=["with a state of its own", "with its passphrase"],
)
def test_a_checkouts_own_passphrase_is_used_whatever_salt_there_is(found: Machine) -> None:
    added = choices.additions(found, AUTO, ROOT)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in added, "the salt is that of the checkout's own passphrase"


def test_a_persons_own_pulumi_home_is_used_unless_the_checkout_has_one_already() -> None:
    theirs = choices.additions(Machine(environment={}, plugin_at_home=True), AUTO, ROOT)
    begun = choices.additions(Machine(environment={}, plugin_at_home=True, own_home=True), AUTO, ROOT)
    assert "PULUMI_HOME" not in theirs, "plugins they downloaded are there"
    assert begun["PULUMI_HOME"] == "/checkout/.tools/home", "the selected stack is remembered there"


@pytest.mark.parametrize(
    ("found", "mode", "quiet"),
    [
        (Machine(environment={}), AUTO, False),
        (Machine(environment={}), NEVER, False),
        (Machine(environment={}), ALWAYS, True),
        (Machine(environment={}, fake_plugins=True), AUTO, True),
    ],
)
def test_pulumi_is_kept_from_the_network_only_offline(found: Machine, mode: str, quiet: bool) -> None:
    added = choices.additions(found, mode, ROOT)
    assert (choices.OFFLINE_PULUMI.keys() <= added.keys()) == quiet, "online, Pulumi's checks and downloads are its own"


@pytest.mark.parametrize(
    ("wanted", "variable", "selected", "mode", "name", "why"),
    [
        ("a", "b", "c", AUTO, "a", "STACK"),
        ("", "b", "c", AUTO, "b", "PULUMI_STACK"),
        ("", "", "c", AUTO, "c", "selected before"),
        ("", "", "", ALWAYS, "offline", "OFFLINE=always"),
        ("", "", "dev", ALWAYS, "offline", "OFFLINE=always"),
        ("", "", "offline", NEVER, "dev", "OFFLINE=never"),
        ("", "", "mine", ALWAYS, "mine", "selected before"),
        ("mine", "", "", ALWAYS, "mine", "STACK"),
        ("", "mine", "", NEVER, "mine", "PULUMI_STACK"),
    ],
)
def test_a_chosen_stack_stands(wanted: str, variable: str, selected: str, mode: str, name: str, why: str) -> None:  # noqa: PLR0917
    stack = choices.stack_to_deploy(wanted, variable, selected, mode)
    assert stack, "one was chosen"
    assert stack.name == name, f"{why} decides"
    assert why in stack.why, "the line says who decided"


def test_without_a_choice_the_registries_decide() -> None:
    assert choices.stack_to_deploy("", "", "", AUTO) is None, "only then are they asked"
    assert choices.stack_by_images({}).name == "dev", "real images are preferred"


def test_an_image_that_cannot_be_had_leads_to_the_built_ones_and_is_named() -> None:
    stack = choices.stack_by_images({"nginx:1": "no such host", "valkey:8": "no such host"})
    assert stack.name == "offline", "one missing image is enough"
    assert "nginx:1 and 1 more" in stack.why, "which image"
    assert "no such host" in stack.why, "and why"


def test_a_stack_of_ones_own_is_led_to_the_settings_not_to_a_word_that_leaves_it_alone() -> None:
    assert "OFFLINE=always" in choices.way_to_built_images("dev")
    assert "copy them into Pulumi.mine.yaml" in choices.way_to_built_images("mine")


def test_the_images_and_the_dump_that_a_stack_file_names_are_built() -> None:
    root = Path(__file__).parents[2]
    offline = (root / "Pulumi.offline.yaml").read_text()
    assert choices.built_images(offline) == [
        "dhis2-cluster/dhis2-simulator:2.43.1",
        "dhis2-cluster/nginx:1.31",
        "dhis2-cluster/postgres:17",
        "dhis2-cluster/rclone:1",
        "dhis2-cluster/restic:0.18",
        "dhis2-cluster/valkey:8",
    ], "one simulator, not those that only tests need"
    assert choices.uses_sample_dump(offline)
    dev = (root / "Pulumi.dev.yaml").read_text()
    assert (choices.built_images(dev), choices.uses_sample_dump(dev)) == ([], False), "its images are pulled"
    assert choices.built_images("config:\n  dhis2-cluster:cores: 2\n") == [], "every key has the project's name"
