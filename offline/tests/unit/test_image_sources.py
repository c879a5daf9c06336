"""What the images are built from: mirror, downloads, and the helpers that leave nothing unfinished."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from offline.images import artefacts, base
from offline.images.machine import OfflineError, cache_folder, keep_newest, run, unfinished


def test_an_unfinished_file_is_removed_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), unfinished(tmp_path / "out") as part:
        part.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir()), "neither the file nor its beginning may stay"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out.1.part").write_text("half")
    with unfinished(tmp_path / "out") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "the cache must not grow with every crash"


def test_only_the_newest_tarballs_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(("a-3", "a-2", "a-1", "b-1")):
        (tmp_path / name).touch()
        stamp = 1_700_000_000 + age
        os.utime(tmp_path / name, (stamp, stamp))
    keep_newest(tmp_path, "a-*")
    assert {path.name for path in tmp_path.iterdir()} == {"a-2", "a-1", "b-1"}, "other recipes keep theirs"


def test_a_failing_command_is_named_with_its_output_and_the_fix() -> None:
    with pytest.raises(OfflineError, match=r"trying: sh exited with 3:\nno room\nRun: df"):
        run(["sh", "-c", "echo no room >&2; exit 3"], "trying", "Run: df")
    with pytest.raises(OfflineError, match=r"no-such-tool is not installed\. Install it"):
        run(["no-such-tool"], "trying", "Install it")


def test_the_mirror_is_the_one_apt_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "Packages|Debian|Debian|http://mirror.test/debian/\n"
        "Packages|Debian|Debian-Security|http://mirror.test/security/\n"
        "Translations|Debian|Debian|http://other.test/\n"
        "Packages|Elsewhere|Elsewhere|http://other.test/\n"
    )
    monkeypatch.setattr(base, "run", lambda *_: listed)
    monkeypatch.delenv(base.MIRROR_VARIABLE, raising=False)
    assert base.debian_sources() == [
        "deb http://mirror.test/debian/ trixie main",
        "deb http://mirror.test/debian/ trixie-updates main",
        "deb http://mirror.test/security/ trixie-security main",
    ], "only Debian's own archives, by what apt reports and not by name"


def test_without_a_debian_mirror_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "run", lambda *_: "Packages|Ubuntu|Ubuntu|http://mirror.test/ubuntu/\n")
    monkeypatch.delenv(base.MIRROR_VARIABLE, raising=False)
    with pytest.raises(OfflineError, match=f"export {base.MIRROR_VARIABLE}="):
        base.debian_sources()
    monkeypatch.setenv(base.MIRROR_VARIABLE, "http://chosen.test/debian")
    assert base.debian_sources() == ["deb http://chosen.test/debian trixie main"], "the variable wins"


def test_without_root_a_missing_mmdebstrap_is_an_error_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(OfflineError, match="sudo apt-get install -y mmdebstrap"):
        base.require_mmdebstrap()


def test_a_download_that_is_not_the_pinned_file_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "download").write_text("something else")
    with pytest.raises(OfflineError, match="download is not the pinned file"):
        artefacts.store(tmp_path / "download", tmp_path / "cached", "0" * 64)
    assert not (tmp_path / "cached").exists(), "a later run would use it"


def test_tomcat_in_the_context_is_readable_by_every_uid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packed = cache_folder("downloads") / f"tomcat-{artefacts.TOMCAT}.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for name, mode in (("bin/catalina.sh", 0o750), ("conf/web.xml", 0o600), ("webapps/examples/x", 0o640)):
            member = tarfile.TarInfo(f"apache-tomcat-{artefacts.TOMCAT}/{name}")
            member.mode = mode
            archive.addfile(member)
    artefacts.put_tomcat(tmp_path)
    tomcat = tmp_path / "tomcat"
    assert (tomcat / "bin/catalina.sh").stat().st_mode & 0o055 == 0o055, "uid 65534 starts it"
    assert (tomcat / "conf/web.xml").stat().st_mode & 0o044 == 0o044, "uid 65534 reads it"
    assert not list((tomcat / "webapps").iterdir()), "the sample applications stay out"
