"""The fake language host and the installation of all fake plugins."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import Settings
from pulumi.runtime.proto import language_pb2

from offline.plugins import install
from offline.plugins.install import FAKES
from offline.plugins.language_host import interpreter, program, program_runs


def request(**fields: Any) -> language_pb2.RunRequest:  # noqa: ANN401 - fields of the message
    """Return a request to run the program in the project's folder."""
    info = language_pb2.ProgramInfo(root_directory="/p", program_directory="/p", entry_point=".")
    return language_pb2.RunRequest(project="proj", stack="dev", info=info, **{"pwd": "/p", **fields})


def test_the_program_gets_the_settings_of_the_request() -> None:
    asked = request(dryRun=True, parallel=8, monitor_address="127.0.0.1:1", args=["--x"])
    settings, entry_point, *arguments = program_runs.arguments(asked, "127.0.0.1:2")
    assert json.loads(settings) == {
        "project": "proj",
        "stack": "dev",
        "root_directory": "/p",
        "parallel": 8,
        "dry_run": True,
        "monitor": "127.0.0.1:1",
        "engine": "127.0.0.1:2",
    }
    assert (entry_point, arguments) == (".", ["--x"]), "the program's own arguments reach it"
    assert not Settings(**json.loads(program_runs.arguments(request(), "")[0])).dry_run, "an update is no preview"


def test_an_exit_code_becomes_one_error_message() -> None:
    assert program_runs.response(0) == language_pb2.RunResponse()
    assert program_runs.response(program_runs.LOGGED) == language_pb2.RunResponse(bail=True), "it has logged its error"
    assert program_runs.response(1).error == "program exited with non-zero exit code: 1"
    assert program_runs.response(-9).error == "program exited with non-zero exit code: -1"
    assert program_runs.LOGGED == program.LOGGED, "host and program agree on the code"


def test_a_traceback_begins_at_the_program(tmp_path: Path) -> None:
    main = tmp_path / "__main__.py"
    main.write_text("1 / 0")
    try:
        exec(compile(main.read_text(), str(main), "exec"), {})  # noqa: S102 - as runpy does
    except ZeroDivisionError as error:
        text = program.traceback_from(error, str(tmp_path))
        whole = program.traceback_from(error, "/elsewhere")
    assert "__main__.py" in text and "test_language_host" not in text, "the host's own frames are left out"
    assert "test_language_host" in whole, "without a frame of the program all of it is shown"


def test_the_virtual_environment_of_pulumi_yaml_runs_the_program(tmp_path: Path) -> None:
    with pytest.raises(interpreter.InterpreterError, match=r"is set to '\.venv', .* Fix: make up"):
        interpreter.find(str(tmp_path), ".venv")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    assert interpreter.find(str(tmp_path), ".venv") == str(python)
    active = interpreter.activated(str(python), {"PATH": "/bin", "PYTHONHOME": "/x"})
    assert active == {"PATH": f"{python.parent}{os.pathsep}/bin", "VIRTUAL_ENV": str(tmp_path / ".venv")}


def test_without_a_virtual_environment_the_python_on_path_runs_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(interpreter.InterpreterError, match="python3 not found on PATH"):
        interpreter.find("/p", None)
    (tmp_path / "python3").touch(mode=0o755)
    assert interpreter.find("/p", None) == str(tmp_path / "python3"), "as with the real host"


def test_the_required_plugins_are_those_that_are_installed(tmp_path: Path) -> None:
    required = {plugin.name: plugin.version for plugin in interpreter.required_plugins(sys.executable)}
    installed = {fake.name: install.plugin_folder(tmp_path, fake).name for fake in FAKES if not fake.bundled}
    assert installed == {name: f"resource-{name}-{version}" for name, version in required.items()}, (
        "the Pulumi CLI looks for exactly this version"
    )


def test_an_installed_fake_starts_from_any_folder_and_is_recognised(tmp_path: Path) -> None:
    paths = install.install(tmp_path, FAKES)
    assert install.installed(tmp_path) == sorted(paths)
    for path in paths:
        assert list(path.parent.iterdir()) == [path], "no part file stays"
        with subprocess.Popen([path], cwd="/", stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) > 0, "the Pulumi CLI reads the port"
            process.terminate()
    assert [path.name for path in paths] == [fake.executable for fake in FAKES]
    for path in paths:
        install.uninstall(path)
    assert install.installed(tmp_path) == []


def test_a_real_plugin_is_never_overwritten_or_taken_for_a_fake(tmp_path: Path) -> None:
    docker = next(fake for fake in FAKES if fake.name == "docker")
    real = install.plugin_folder(tmp_path, docker) / docker.executable
    real.parent.mkdir(parents=True)
    real.write_bytes(b"\x7fELF")
    others = install.install(tmp_path, FAKES)
    assert real.read_bytes() == b"\x7fELF"
    assert real not in others and len(others) == len(FAKES) - 1
    assert install.installed(tmp_path) == sorted(others), "only fakes are removed when the real ones can be had"
    assert install.install(tmp_path, FAKES) == others, "a fake is written again: its checkout may have moved"
