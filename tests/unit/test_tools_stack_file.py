"""git does not see the salt Pulumi writes into a stack file, unless secrets could not be read without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment, terminal
from tools.stack_file import has_salt, without_idle_salt

ROOT = Path(__file__).parents[2]
PLAIN = "config:\n  dhis2-cluster:cores: 2\n"
SALT = "encryptionsalt: v1:abc=:v1:def:ghi=\n"
ENCRYPTED = "config:\n  dhis2-cluster:adminPassword:\n    secure: v1:xyz\n"


@pytest.mark.parametrize("text", [PLAIN + SALT, SALT + PLAIN, PLAIN + SALT.rstrip("\n")])
def test_the_salt_of_a_file_without_secrets_is_left_out(text: str) -> None:
    assert without_idle_salt(text) == PLAIN, "nothing else may change"
    assert has_salt(text), "it was there"


@pytest.mark.parametrize("text", [ENCRYPTED + SALT, PLAIN, ENCRYPTED])
def test_a_file_with_secrets_or_without_salt_stays_as_it_is(text: str) -> None:
    assert without_idle_salt(text) == text, "a secret cannot be read without its salt"


def test_as_git_filter_every_byte_but_the_salt_comes_back() -> None:
    odd = b"config:\r\n  # caf\xe9\r\n"
    done = subprocess.run(
        [sys.executable, "tools/stack_file.py"], cwd=ROOT, input=odd + SALT.encode(), capture_output=True, check=True
    )
    assert done.stdout == odd, "a filter that changes bytes would make files look modified"


def test_committed_stack_files_have_no_salt() -> None:
    names = subprocess.run(["git", "ls-files", "Pulumi.*.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    for name in names.stdout.split():
        shown = subprocess.run(["git", "show", f":{name}"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert not has_salt(shown.stdout), f"{name}: with one user's salt, no other user's passphrase is accepted"


def test_git_status_stays_clean_after_pulumi_wrote_a_salt_and_shows_real_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        named = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        done = subprocess.run(["git", *named, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    file = tmp_path / "Pulumi.dev.yaml"
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "stack_file.py", tmp_path / "tools")
    file.write_text(PLAIN)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "a checkout")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(terminal, "ROOT", tmp_path)
    environment.hide_salts()
    file.write_text(PLAIN + SALT)
    environment.settle_in_git()
    assert git("status", "--short") == "", "a salt is no change"
    file.write_text(PLAIN.replace("2", "3") + SALT)
    environment.settle_in_git()
    assert git("status", "--short") == " M Pulumi.dev.yaml\n", "an edit is one, and nothing stages it"
    assert "salt" not in git("diff"), "and is all one sees"
