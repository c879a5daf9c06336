"""Stand-in plugins: requests to the engine, what is read back, passwords, the language host's command lines."""

import io
import os
import string
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import language_pb2

from offline.plugins.engine import container_config, container_state, uploads
from offline.plugins.engine.images import repo_digest
from offline.plugins.language import interpreter, packages, program, running
from offline.plugins.launchers import MODULES, install
from offline.plugins.randomness import generators
from offline.plugins.randomness.provider import RandomId, RandomPassword
from offline.plugins.resources import PluginError
from tools.environment import STAND_INS
from tools.pulumi_tools import PLUGINS, sdk_version

API = (1, 41)
PASSWORD = {"lower": True, "upper": True, "numeric": True, "number": True, "special": True}


def host(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - as wide as JSON
    """Return the HostConfig of a container with these inputs."""
    body: dict[str, Any] = container_config.config({"image": "i", **given}, API)["HostConfig"]
    return body


def test_inputs_become_the_engines_request() -> None:
    body = host(
        memory=64,
        memorySwap=-1,
        cpus="1.5",
        ports=[{"internal": 80, "ip": "127.0.0.1", "protocol": "tcp", "external": 8080}],
        volumes=[{"volumeName": "v", "containerPath": "/v", "readOnly": True}],
        capabilities={"adds": ["chown"], "drops": ["all"]},
        logDriver="json-file",
        logOpts={"max-size": "1m"},
    )
    expected = {
        "Memory": 64 * 2**20,
        "MemorySwap": -1,
        "NanoCpus": 1_500_000_000,
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        "Binds": ["v:/v:ro"],
        "CapAdd": ["CAP_CHOWN"],
        "CapDrop": ["ALL"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "Init": False,
    }
    assert {name: body[name] for name in expected} == expected, "as Docker's own client would ask for it"


def test_environment_is_a_set_whose_order_is_not_the_written_one() -> None:
    values = ["A=1", "B=2", "C=3", "D=4"]
    ordered = container_config.in_set_order(values)
    assert sorted(ordered) == sorted(values), "nothing is lost"
    assert container_config.in_set_order(values[::-1]) == ordered, "the order depends on the values alone"
    assert ordered != values, "programs must not count on any order"


def test_what_an_old_engine_does_not_know_is_refused_before_it_is_asked() -> None:
    reason = (
        '"specify health-check start interval" requires API version 1.44, but the Docker daemon API version is 1.41'
    )
    with pytest.raises(PluginError, match=reason):
        container_config.healthcheck({"startInterval": "5s"}, API)
    assert container_config.healthcheck({"startInterval": "5s"}, (1, 44))["StartInterval"] == 5 * 10**9
    mount = {"target": "/a", "type": "volume", "source": "v", "volumeOptions": {"noCopy": True}}
    with pytest.raises(PluginError, match=r"requires docker version 1\.45"):
        container_config.config({"image": "i", "mounts": [mount]}, API)


@pytest.mark.parametrize(("nano", "text"), [(10**9, "1.0"), (1_500_000_000, "1.5"), (250_000_000, "0.25")])
def test_numbers_of_cpus_are_read_back_in_gos_form(nano: int, text: str) -> None:
    assert container_state.cpus_text(nano) == text, '"1" is read as "1.0", which is a change'


INSPECTED: dict[str, Any] = {
    "Id": "abc",
    "Name": "/box",
    "Image": "sha256:1",
    "State": {"Running": False, "ExitCode": 3},
    "NetworkSettings": {"Ports": {}, "Networks": {}},
    "Config": {"Image": "i", "Env": ["X=1"], "Labels": {"a": "b"}, "Cmd": ["c"]},
    "HostConfig": {"Memory": 2**26, "MemorySwap": 2**27, "NanoCpus": 10**9, "RestartPolicy": {"Name": "no"}},
}


def test_a_look_at_a_stopped_container_shows_how_it_ended_but_not_its_environment() -> None:
    olds = {"image": "i", "mustRun": True, "ports": [{"internal": 80}], "envs": ["A=1"]}
    now = container_state.outputs(INSPECTED, olds)
    assert (now["exitCode"], now["mustRun"], now["ports"]) == (3, False, []), "it should run, so all of this differs"
    assert (now["envs"], now["labels"]) == (["A=1"], []), "environment and labels are not read back"
    assert (now["memory"], now["memorySwap"], now["cpus"]) == (64, 128, "1.0"), "limits are, in the program's units"
    left = container_state.outputs(INSPECTED, {**olds, "mustRun": False})
    assert left["ports"] == [{"internal": 80}], "the ports of one that need not run are left as they were"


@pytest.mark.parametrize("given", [{}, {"content": ""}, {"content": "a", "contentBase64": "YQ=="}])
def test_an_upload_has_exactly_one_content(given: dict[str, str]) -> None:
    with pytest.raises(PluginError, match="error with upload content"):
        uploads.content({"file": "/a", **given})


def test_an_upload_is_roots_with_the_permissions_asked_for() -> None:
    data = uploads.content({"contentBase64": "AAE="})
    archive = uploads.archived("/opt/a", data, uploads.mode({"permissions": "0400"}))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        (member,) = opened.getmembers()
        content = opened.extractfile(member)
        assert content is not None and content.read() == b"\x00\x01", "bytes arrive as they are"
    assert (member.uid, member.gid, member.mode) == (0, 0, 0o400)
    assert (uploads.mode({}), uploads.mode({"executable": True})) == (0o644, 0o744), "the plugin's defaults"


def test_the_digest_of_an_image_is_that_of_the_name_it_was_pulled_by() -> None:
    image = {"RepoDigests": ["other@sha256:1", "host:5000/a/b@sha256:2"]}
    assert repo_digest("host:5000/a/b:3", image) == "host:5000/a/b@sha256:2"
    assert repo_digest("a:1", {"RepoDigests": []}) == "", "an image that was never pulled has none"


def test_a_password_has_the_asked_length_classes_and_minimums() -> None:
    for _ in range(20):
        made = generators.password({**PASSWORD, "length": 12, "minNumeric": 5, "minSpecial": 3, "overrideSpecial": "+"})
        assert len(made) == 12
        assert sum(each in string.digits for each in made) >= 5, "at least as many digits as asked"
        assert made.count("+") >= 3, "special characters are those asked for"
    plain = generators.password({**PASSWORD, "length": 200, "special": False, "numeric": False})
    assert plain.isalpha(), "a class that is switched off does not occur"
    assert len({generators.password({**PASSWORD, "length": 20}) for _ in range(20)}) == 20, "no two are the same"


def test_contradictory_password_settings_are_refused() -> None:
    assert "at least the sum" in RandomPassword().validate({**PASSWORD, "length": 3, "minLower": 4})[0]
    none = dict.fromkeys(PASSWORD, False)
    assert "at least one of" in RandomPassword().validate({**none, "length": 3})[0]


def test_a_password_is_secret_and_its_identifier_says_nothing() -> None:
    identifier, outputs = RandomPassword().create({**PASSWORD, "length": 16})
    assert identifier == "none"
    assert outputs["bcryptHash"].startswith("$2"), "a hash for those who need one"
    secret = {name for name, prop in RandomPassword.table.items() if prop.secret}
    assert secret == {"result", "bcryptHash"}
    assert all(prop.replace for prop in RandomPassword.table.values() if prop.input), "every change makes another one"


def test_an_identifier_is_the_same_bytes_in_all_its_writings() -> None:
    identifier, outputs = RandomId().create({"byteLength": 8, "prefix": "p-"})
    number = int(outputs["dec"].removeprefix("p-"))
    assert outputs["hex"] == f"p-{number:016x}", "hex and dec are one number"
    assert outputs["b64Url"] == f"p-{identifier}", "the identifier itself has no prefix"


def request(**given: Any) -> language_pb2.RunRequest:  # noqa: ANN401 - fields of the message
    """Return a request to run the program in the project's folder."""
    info = language_pb2.ProgramInfo(root_directory="/p", program_directory="/p", entry_point=".")
    return language_pb2.RunRequest(project="proj", stack="dev", info=info, **{"pwd": "/p", **given})


def test_the_program_is_run_with_the_official_hosts_command_line() -> None:
    asked = request(dryRun=True, parallel=8, monitor_address="127.0.0.1:1", args=["--x"])
    given = program.parse(running.arguments(asked, "127.0.0.1:2"))
    assert (given.monitor, given.engine) == ("127.0.0.1:1", "127.0.0.1:2")
    assert (given.project, given.stack, given.root_directory, given.pwd) == ("proj", "dev", "/p", "/p")
    assert (given.dry_run, given.parallel, given.organization) == ("true", "8", None), "what is not set is left out"
    assert (given.program, given.arguments) == (".", ["--x"]), "the program's own arguments reach it"
    assert program.parse(running.arguments(request(), "")).dry_run == "false", "an update is no preview"


def test_how_a_program_ended_is_told_once() -> None:
    assert running.answer(0) == language_pb2.RunResponse()
    assert running.answer(running.SHOWN) == language_pb2.RunResponse(bail=True), "a traceback says enough"
    assert running.answer(1).error == "program exited with non-zero exit code: 1"
    assert running.SHOWN == program.SHOWN, "both sides mean the same by it"


def test_a_traceback_begins_at_the_program(tmp_path: Path) -> None:
    main = tmp_path / "__main__.py"
    main.write_text("1 / 0")
    try:
        exec(compile(main.read_text(), str(main), "exec"), {})  # noqa: S102 - as the runner does
    except ZeroDivisionError as error:
        text = program.own_traceback(error, str(tmp_path))
        whole = program.own_traceback(error, "/elsewhere")
    assert "__main__.py" in text and "test_offline_plugins" not in text, "what called the program is no news"
    assert "test_offline_plugins" in whole, "without a frame of the program all of it is shown"


def test_the_named_virtual_environment_runs_the_program(tmp_path: Path) -> None:
    assert interpreter.find(None) == Path(sys.executable), "without one, the stand-in's own interpreter"
    with pytest.raises(interpreter.InterpreterError, match="pulumi install"):
        interpreter.find(tmp_path / ".venv")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "pyvenv.cfg").touch()
    assert interpreter.find(tmp_path) == python
    active = interpreter.environment(python, {"PATH": "/bin", "PYTHONHOME": "/x"})
    assert active == {"PATH": f"{python.parent}{os.pathsep}/bin", "VIRTUAL_ENV": str(tmp_path)}


def test_the_engine_is_told_the_plugins_of_the_pinned_sdks() -> None:
    found = {each.name: each.version for each in packages.required(packages.site_folders(Path(sys.executable)))}
    assert found == {name: f"v{sdk_version(package)}" for name, package in PLUGINS.items()}, "so it looks on PATH"


def test_the_executables_are_those_the_tools_look_for(tmp_path: Path) -> None:
    assert set(MODULES) == set(STAND_INS), "the tools remove and count exactly these"
    for path in install(tmp_path):
        assert os.access(path, os.X_OK), f"{path.name} must be executable"
    help_text = subprocess.run(
        [tmp_path / "pulumi-language-python-exec", "--help"], cwd="/", check=True, capture_output=True, text=True
    )
    assert "--dry_run" in help_text.stdout, "it starts from any folder"
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(MODULES), "no half written file stays"
