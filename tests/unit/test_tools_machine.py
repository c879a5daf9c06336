"""What make finds on a machine: own stacks, requirements, contexts, releases; and what it refuses to lose."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components.orchestrator.error_text import short
from offline.plugins import install
from tools import checks, cleaning, docker_context, environment, pulumi_tools, venv
from tools.paths import BIN, VENV
from tools.terminal import ToolError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout that environment and cleaning take for theirs."""
    for module in (environment, cleaning):
        for name, path in {"STATE": ".pulumi-state", "PASSPHRASE": ".passphrase", "VENV": ".venv"}.items():
            monkeypatch.setattr(module, name, tmp_path / path)
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "PULUMI_HOME", tmp_path / ".tools" / "home")
    monkeypatch.setattr(environment, "BIN", tmp_path / ".tools" / "bin")
    monkeypatch.setattr(cleaning, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(cleaning, "OFFLINE", tmp_path / ".offline")
    return tmp_path


def put_stack(checkout: Path, name: str, *types: str) -> None:
    folder = checkout / ".pulumi-state" / ".pulumi" / "stacks" / "dhis2-cluster"
    folder.mkdir(parents=True, exist_ok=True)
    resources = [{"type": each, "custom": not each.startswith("pulumi:pulumi")} for each in types]
    (folder / f"{name}.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def test_a_stack_counts_what_is_deployed_not_providers_or_components(checkout: Path) -> None:
    put_stack(checkout, "dev", "pulumi:pulumi:Stack", "pulumi:providers:docker", "docker:index/container:Container")
    put_stack(checkout, "gone", "pulumi:pulumi:Stack")
    assert environment.own_stacks() == {"dev": 1, "gone": 0}, "only real objects would be lost"


def test_objects_that_were_begun_and_not_recorded_count_too(checkout: Path) -> None:
    put_stack(checkout, "dev")
    path = checkout / ".pulumi-state" / ".pulumi" / "stacks" / "dhis2-cluster" / "dev.json"
    path.write_text(json.dumps({"checkpoint": {"latest": {"pending_operations": [{"type": "creating"}]}}}))
    assert environment.own_stacks() == {"dev": 1}, "they may be there, and only the state tells their names"


def test_a_checkout_is_completed_as_often_as_one_likes(checkout: Path) -> None:
    first = environment.complete({"HOME": str(checkout), "PATH": "/bin"}, "auto")
    passphrase = (checkout / ".passphrase").read_text()
    assert first["PULUMI_BACKEND_URL"] == f"file://{checkout}/.pulumi-state"
    assert (checkout / ".pulumi-state").is_dir() and (checkout / ".tools" / "home").is_dir(), "plain pulumi makes none"
    again = environment.complete({"HOME": str(checkout), "PATH": "/bin"}, "auto")
    assert again == first, "every command of make does it"
    assert (checkout / ".passphrase").read_text() == passphrase, "another one could not read the stacks"


def test_a_persons_own_home_is_used_only_when_it_has_the_docker_plugin(checkout: Path) -> None:
    person = {"HOME": str(checkout / "person"), "PATH": "/bin"}
    install.install(checkout / "person" / ".pulumi", install.FAKES)
    assert environment.complete(person, "auto")["PULUMI_HOME"] == f"{checkout}/.tools/home", "a fake one does not count"
    shutil.rmtree(checkout / ".tools")
    plugin = checkout / "person" / ".pulumi" / "plugins" / "resource-docker-v5.1.0" / "pulumi-resource-docker"
    plugin.parent.mkdir()
    plugin.write_text("real")
    assert "PULUMI_HOME" not in environment.complete(person, "auto"), "it need not be downloaded again"


def test_what_is_chosen_elsewhere_makes_nothing_in_the_checkout(checkout: Path) -> None:
    chosen = {"PULUMI_BACKEND_URL": "https://api.example.org", "PULUMI_HOME": "/h", "HOME": "/nowhere", "PATH": "/bin"}
    environment.complete(chosen, "auto")
    assert list(checkout.iterdir()) == [], "the state and the secrets are the service's"


@pytest.mark.parametrize("place", ["PULUMI_HOME", "PATH"])
def test_a_checkout_with_a_fake_plugin_keeps_pulumi_from_the_network(checkout: Path, place: str) -> None:
    environment_ = {"HOME": str(checkout)}
    assert not environment.machine(environment_).fake_plugins
    if place == "PULUMI_HOME":
        install.install(checkout / ".tools" / "home", install.FAKES)
    else:
        (checkout / ".tools" / "bin").mkdir(parents=True)
        (checkout / ".tools" / "bin" / "pulumi-resource-docker").touch()
    assert environment.machine(environment_).fake_plugins, "it would look for updates and for plugins to download"


def test_clean_refuses_while_a_stack_has_resources_and_names_the_way_out(checkout: Path) -> None:
    put_stack(checkout, "dev", "docker:index/container:Container")
    (checkout / ".venv").mkdir()
    with pytest.raises(ToolError, match="make down STACK=dev"):
        cleaning.clean()
    assert (checkout / ".venv").exists(), "nothing is removed half"


def test_clean_removes_all_that_was_made_and_the_salt_of_the_lost_passphrase(checkout: Path) -> None:
    put_stack(checkout, "dev")
    for name in (".venv", ".tools", ".offline"):
        (checkout / name).mkdir()
    (checkout / ".passphrase").write_text("x")
    (checkout / "Pulumi.dev.yaml").write_text("config: {}\nencryptionsalt: v1:a\n")
    cleaning.clean()
    assert [path.name for path in checkout.iterdir()] == ["Pulumi.dev.yaml"], "only the sources stay"
    assert (checkout / "Pulumi.dev.yaml").read_text() == "config: {}\n", "the next passphrase is another one"


def test_clean_leaves_the_passphrase_that_secrets_of_a_stack_file_need(checkout: Path) -> None:
    put_stack(checkout, "dev")
    (checkout / ".passphrase").write_text("x")
    text = "config:\n  dhis2-cluster:adminPassword:\n    secure: v1:b\nencryptionsalt: v1:a\n"
    (checkout / "Pulumi.dev.yaml").write_text(text)
    cleaning.clean()
    assert (checkout / ".passphrase").read_text() == "x", "or `make up` would end with: incorrect passphrase"
    assert (checkout / "Pulumi.dev.yaml").read_text() == text


def test_clean_leaves_what_a_link_leads_to(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a").touch()
    (checkout / ".venv").symlink_to(elsewhere)
    cleaning.clean()
    assert not (checkout / ".venv").is_symlink(), "the link was made here"
    assert (elsewhere / "a").exists(), "the folder was not"


def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(checkout: Path) -> None:
    put_stack(checkout, "dev")
    with pytest.raises(ToolError, match="PULUMI_CONFIG_PASSPHRASE"):
        environment.ensure_passphrase()
    assert not (checkout / ".passphrase").exists(), "a new one could not read them and would hide the loss"


def test_two_checkouts_have_two_passphrases(checkout: Path) -> None:
    environment.ensure_passphrase()
    first = (checkout / ".passphrase").read_text()
    (checkout / ".passphrase").unlink()
    environment.ensure_passphrase()
    assert first != (checkout / ".passphrase").read_text(), "it is random"


def test_the_installation_is_repeated_when_a_requirement_or_the_interpreter_changes(tmp_path: Path) -> None:
    base, extra = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    base.write_text("a==1  # why\n")
    extra.write_text("-r requirements.txt\nb==1\n")
    first = venv.digest(extra, "3.11.7")
    base.write_text("a==1  # why, in other words\n")
    assert venv.digest(extra, "3.11.7") == first, "a comment installs nothing"
    assert venv.digest(extra, "3.12.0") != first, "packages belong to an interpreter"
    base.write_text("a==2\n")
    assert venv.digest(extra, "3.11.7") != first, "files that are included count"


def test_the_installation_goes_into_the_virtual_environment() -> None:
    chosen = dict.fromkeys(("PIP_TARGET", "PIP_USER", "PIP_PREFIX"), "x")
    assert venv._pip_environment({**chosen, "PIP_INDEX_URL": "https://x"}) == {"PIP_INDEX_URL": "https://x"}, (
        "a person's index counts, a place of their own would leave the environment empty"
    )


def test_what_is_on_path_goes_before_and_own_tools_after() -> None:
    path = environment.own_path(f"/usr/bin:{BIN}:/bin")
    assert path == f"{VENV}/bin:/usr/bin:/bin:{BIN}", "each once, in this order"
    assert pulumi_tools.others(path) == f"{VENV}/bin:/usr/bin:/bin", "own tools are not a person's"


def test_a_release_is_accepted_only_with_its_published_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    (made / "pulumi").mkdir(parents=True)
    (made / "pulumi" / "pulumi").write_text("#!/bin/sh\n")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(made / "pulumi", "pulumi")
    content = (tmp_path / "a.tar.gz").read_bytes()
    name = pulumi_tools.archive_name(pulumi_tools.sdk_version("pulumi"), "x86_64", "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    for attribute, path in {"TOOLS": ".tools", "BIN": ".tools/bin", "OFFICIAL": ".tools/pulumi"}.items():
        monkeypatch.setattr(pulumi_tools, attribute, tmp_path / path)
    (tmp_path / ".tools").mkdir()

    def release(digest: str) -> Callable[[str], bytes]:
        return lambda url: f"{digest}  {name}\n".encode() if url.endswith("SHA512SUMS") else content

    monkeypatch.setattr(pulumi_tools, "_fetch", release("0" * 128))
    with pytest.raises(ToolError, match="is not the file its release lists"):
        pulumi_tools._download()
    assert not (tmp_path / ".tools" / "pulumi").exists(), "nothing of a wrong archive is unpacked"
    monkeypatch.setattr(pulumi_tools, "_fetch", release(hashlib.sha512(content).hexdigest()))
    pulumi_tools._download()
    assert (tmp_path / ".tools" / "bin" / "pulumi").resolve() == tmp_path / ".tools" / "pulumi" / "pulumi"


def test_a_digest_is_that_of_the_very_file() -> None:
    sums = (
        "aa  ./pulumi-v3-linux-x64.tar.gz.sig\nbb  ./pulumi-v3-linux-x64.tar.gz\ncc  old-pulumi-v3-linux-x64.tar.gz\n"
    )
    assert pulumi_tools.expected_sum(sums, "pulumi-v3-linux-x64.tar.gz") == "bb"


@pytest.mark.parametrize(
    ("machine", "part"), [("x86_64", "linux-x64"), ("aarch64", "linux-arm64"), ("arm64", "linux-arm64")]
)
def test_the_official_release_is_that_of_the_machine(machine: str, part: str) -> None:
    assert part in pulumi_tools.archive_name("3.272.0", machine, "Linux"), "as the release names it"


def test_a_machine_without_official_release_is_told_the_way_out() -> None:
    with pytest.raises(ToolError, match="OFFLINE=always"):
        pulumi_tools.archive_name("3.272.0", "riscv64", "Linux")


def test_the_docker_context_a_person_uses_is_followed(tmp_path: Path) -> None:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": "ssh://ada@far"}}}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    chosen = {"DOCKER_CONFIG": str(tmp_path)}
    assert docker_context.current_host(chosen) == "ssh://ada@far", "the plugin and the SDK do not look there"
    assert docker_context.current_host(chosen | {"DOCKER_CONTEXT": "default"}) == "", "a variable overrides the file"
    assert docker_context.current_host(chosen | {"DOCKER_HOST": "unix:///x"}) == "", "DOCKER_HOST overrides contexts"
    assert docker_context.current_host({"DOCKER_CONFIG": "/nowhere"}) == "", "most people have none"


@pytest.mark.parametrize(
    ("message", "shortened"),
    [
        (
            'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.1:53: no such host',
            "no such host",
        ),
        ("Get https://x/: net/http: request canceled (Client.Timeout exceeded)", "no answer in time"),
        ("manifest unknown", "manifest unknown"),
        ("[Errno -2] Name or service not known", "Name or service not known"),
        ("X(Caused by Y('Z: [Errno 111] Connection refused'))", "Connection refused"),
    ],
)
def test_a_long_message_of_docker_is_shortened_to_its_end(message: str, shortened: str) -> None:
    assert short(message) == shortened, "the reason has to fit into the one line about the stack"


def test_tests_never_meet_a_persons_own_stacks() -> None:
    own = ("PULUMI_BACKEND_URL", "PULUMI_STACK", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE")
    asked = ("PULUMI_CONFIG_PASSPHRASE_FILE", "STACK", "ARGS", "OFFLINE")
    left = checks.isolated({**dict.fromkeys((*own, *asked), "x"), "PATH": "/bin", "PULUMI_HOME": "/h"})
    assert left == {"PATH": "/bin", "PULUMI_HOME": "/h"}, "a test that forgets its backend must fail, not deploy"
