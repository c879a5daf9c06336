"""Which plugins make uses: real ones wherever they can be found, else fake ones, never in a person's own home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from offline.plugins.install import FAKES, Fake, install, is_fake, plugin_folder
from tools import environment, pulumi_tools
from tools.choices import ALWAYS, AUTO, NEVER
from tools.terminal import ToolError

DOCKER = next(fake for fake in FAKES if fake.name == "docker")
BUNDLED = {fake.executable for fake in FAKES if fake.bundled}
EXECUTABLES = {fake.executable for fake in FAKES}


class Checkout:
    """A checkout with a built `pulumi`, and a person's own Pulumi home beside it."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.own_home = folder / ".tools" / "bin", folder / ".tools" / "home", folder / "person"
        self.bin.mkdir(parents=True)
        self.put(self.bin / "pulumi", "#!/bin/sh\necho v3\n")

    def put(self, path: Path, content: str = "real") -> Path:
        """Write an executable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)
        return path

    def put_real(self, fake: Fake, home: Path) -> Path:
        """Write what counts as a real plugin of this version in a PULUMI_HOME."""
        return self.put(plugin_folder(home, fake) / fake.executable)

    def ensure(self, mode: str, home: Path | None = None, **variables: str) -> None:
        """Run what make runs."""
        path = str(self.bin)
        pulumi_tools.ensure({"PATH": path, "PULUMI_HOME": str(home or self.home), **variables}, mode)

    def fakes(self, home: Path) -> set[str]:
        """Return the names of the fake plugins in a PULUMI_HOME."""
        return {path.name for path in home.glob("plugins/*/*") if is_fake(path)}

    def fakes_on_path(self) -> set[str]:
        """Return what lies beside `pulumi`."""
        return {path.name for path in self.bin.iterdir()} - {"pulumi"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Such a checkout, where the network is out of reach."""
    made = Checkout(tmp_path)
    for module in (environment, pulumi_tools):
        monkeypatch.setattr(module, "BIN", made.bin)
        monkeypatch.setattr(module, "PULUMI_HOME", made.home)
    monkeypatch.setattr(pulumi_tools, "OFFICIAL", tmp_path / ".tools" / "pulumi")
    monkeypatch.setattr(pulumi_tools, "ask", lambda *_: made.bin / "pulumi")
    monkeypatch.setattr(pulumi_tools, "_copy", lambda *_: None)
    monkeypatch.setattr(pulumi_tools, "_reachable", lambda _: False)
    return made


@pytest.mark.parametrize("mode", [ALWAYS, AUTO])
def test_fake_plugins_are_installed_into_the_checkouts_own_home(checkout: Checkout, mode: str) -> None:
    for _ in range(2):
        checkout.ensure(mode)
        assert checkout.fakes(checkout.home) == EXECUTABLES
        assert checkout.fakes_on_path() == set(), "Pulumi warns of plugins on PATH"


def test_a_persons_own_home_stays_free_of_fake_plugins(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.own_home.mkdir()
    checkout.ensure(ALWAYS, checkout.own_home)
    assert list(checkout.own_home.iterdir()) == [], "it serves their other projects too"
    assert checkout.fakes_on_path() == EXECUTABLES
    assert f"none is installed into your PULUMI_HOME {checkout.own_home}" in capsys.readouterr().out


def test_fake_plugins_that_a_person_has_installed_stay_in_their_home(checkout: Checkout) -> None:
    install(checkout.own_home, FAKES)
    checkout.ensure(AUTO, checkout.own_home)
    assert (checkout.fakes(checkout.own_home), checkout.fakes_on_path()) == (EXECUTABLES, set())


def test_a_real_plugin_is_used_and_its_fake_is_removed(checkout: Checkout) -> None:
    real = checkout.put_real(DOCKER, checkout.home)
    checkout.put(checkout.bin / DOCKER.executable, "of an older version of this checkout")
    checkout.ensure(ALWAYS)
    assert real.read_text() == "real", "it is never overwritten"
    assert checkout.fakes(checkout.home) == EXECUTABLES - {DOCKER.executable}
    assert checkout.fakes_on_path() == set(), "on PATH it would be used instead"


def test_a_download_that_was_interrupted_is_no_plugin(checkout: Checkout) -> None:
    real = checkout.put_real(DOCKER, checkout.home)
    mark = real.parent.with_name(f"{real.parent.name}.partial")
    mark.touch()
    checkout.ensure(ALWAYS)
    assert is_fake(real), "the Pulumi CLI does not use it either"
    assert not mark.exists(), "beside it the fake plugin would not be used"


def test_the_plugins_beside_an_official_pulumi_are_used(checkout: Checkout, tmp_path: Path) -> None:
    beside = checkout.put(tmp_path / ".tools" / "pulumi" / "pulumi", "#!/bin/sh\necho v3\n").parent
    for name in BUNDLED:
        checkout.put(beside / name)
    checkout.put(beside / DOCKER.executable)
    checkout.bin.joinpath("pulumi").unlink()
    checkout.bin.joinpath("pulumi").symlink_to(beside / "pulumi")
    checkout.ensure(ALWAYS)
    assert {"pulumi-language-python", "pulumi-resource-pulumi-python"} == BUNDLED
    assert checkout.fakes(checkout.home) == EXECUTABLES - BUNDLED, "the Pulumi CLI looks for no others there"


def test_with_all_plugins_on_path_nothing_is_installed(checkout: Checkout, tmp_path: Path) -> None:
    for fake in FAKES:
        checkout.put(tmp_path / "person-bin" / fake.executable)
    checkout.ensure(AUTO, PATH=f"{tmp_path / 'person-bin'}:{checkout.bin}")
    assert checkout.fakes(checkout.home) == set()


def reached(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network answer: `pulumi plugin install` gets the official plugins, and an official pulumi is here."""

    def plugin_install(pulumi: Path, fake: Fake, variables: Mapping[str, str]) -> bool:
        checkout.put_real(fake, Path(variables["PULUMI_HOME"]))
        return True

    monkeypatch.setattr(pulumi_tools, "_install", plugin_install)
    monkeypatch.setattr(pulumi_tools, "_download", lambda: None)


def test_official_plugins_win_where_they_can_be_had(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    reached(checkout, monkeypatch)
    checkout.ensure(AUTO)
    assert checkout.fakes(checkout.home) == BUNDLED, "only what no download brings is a fake"


def test_fake_plugins_in_use_are_not_looked_up_again_until_never_asks_for_official_ones(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout.ensure(AUTO)
    reached(checkout, monkeypatch)
    checkout.ensure(AUTO)
    assert checkout.fakes(checkout.home) == EXECUTABLES, "a request each time would cost what they save"
    for name in BUNDLED:
        checkout.put(tmp_path / "person-bin" / name)
    checkout.ensure(NEVER, PATH=f"{tmp_path / 'person-bin'}:{checkout.bin}")
    assert checkout.fakes(checkout.home) == set(), "OFFLINE=never removes them"
    assert (plugin_folder(checkout.home, DOCKER) / DOCKER.executable).read_text() == "real"


def test_never_names_the_plugins_that_cannot_be_had(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_tools, "_download", lambda: None)
    install(checkout.home, FAKES)
    with pytest.raises(ToolError, match=", ".join(fake.executable for fake in FAKES)):
        checkout.ensure(NEVER)
    assert checkout.fakes(checkout.home) == set()
