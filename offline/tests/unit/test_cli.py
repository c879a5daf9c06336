"""Building the CLI: the key of its cache, and the errors without Go or a network."""

from pathlib import Path

import pytest

from offline.cli import build
from offline.images.machine import OfflineError

SETTINGS = {"GOVERSION": "go1.26.8", "GOOS": "linux", "GOARCH": "amd64"}


def test_another_pin_or_machine_is_another_build(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module a\n")
    (tmp_path / "go.sum").write_text("")
    first = build.digest(tmp_path, SETTINGS)
    assert build.digest(tmp_path, dict(SETTINGS)) == first, "the same pins on the same machine are built once"
    assert build.digest(tmp_path, {**SETTINGS, "GOARCH": "arm64"}) != first, "a binary runs on one architecture only"
    (tmp_path / "go.sum").write_text("x v1 h1:=\n")
    assert build.digest(tmp_path, SETTINGS) != first, "a changed pin needs a new build"


def test_the_version_comes_from_the_committed_pin() -> None:
    pins = (build.FOLDER / "go.mod").read_text()
    assert build.pinned_version(pins) == "v3.259.0", "the CLI calls itself by the version of its module"
    assert "=> ../" not in pins, "a replacement by a folder builds only in the module's own checkout"


def test_a_go_that_is_too_old_is_named_with_the_one_that_is_needed() -> None:
    pins = (build.FOLDER / "go.mod").read_text()
    build.check_go(SETTINGS, pins)
    with pytest.raises(OfflineError, match=r"Go 1\.25\.11 or newer is needed, go1\.19\.8 is installed"):
        build.check_go({"GOVERSION": "go1.19.8"}, pins)


def test_without_go_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OfflineError, match=r"building pulumi: go is not installed\. Install Go"):
        build.ensure(lambda _: None)


def test_an_unreachable_module_proxy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "go"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$1" in env) echo \'{"GOVERSION": "go1.26.8", "GOPROXY": "http://127.0.0.1:9"}\';;'
        " *) echo 'dial tcp 127.0.0.1:9: connection refused' >&2; exit 1;; esac\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(OfflineError) as raised:
        build.ensure(lambda _: None)
    for part in ("fetching the Go modules", "connection refused", "export GOPROXY=", "now: http://127.0.0.1:9"):
        assert part in str(raised.value), f"{part!r} is missing in the error"
    assert not list((tmp_path / "cache").rglob("pulumi-*")), "nothing half built stays"
