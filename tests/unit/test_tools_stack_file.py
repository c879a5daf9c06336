"""git does not see the salt Pulumi writes into a stack file, unless secrets could not be read without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
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
        assert not has_salt(shown.stdout), f"{name}: with one person's salt, no other passphrase is accepted"


Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """A function that runs git in a small checkout with a committed stack file and the salt filter."""

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "stack_file.py", tmp_path / "tools")
    (tmp_path / "Pulumi.dev.yaml").write_text(PLAIN)
    (tmp_path / "other").write_text("1\n")
    run("init", "--quiet")
    run("add", ".")
    run("commit", "--quiet", "--message", "a checkout")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(terminal, "ROOT", tmp_path)
    environment.hide_salts()
    return run


def test_git_status_shows_no_salt(git: Git, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(PLAIN + SALT)
    assert git("status", "--short") == " M Pulumi.dev.yaml\n", "git takes another size for a change"
    environment.refresh_git_status()
    assert git("status", "--short") == "", "`git diff` shows nothing, and now `git status` agrees"


def test_an_edit_stays_visible_and_nothing_is_added_to_the_index(git: Git, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(PLAIN.replace("2", "3"))
    git("add", "Pulumi.dev.yaml")
    (tmp_path / "other").write_text("2\n")
    index = git("ls-files", "--stage")
    for content, status in ((PLAIN.replace("2", "3"), "M "), (PLAIN.replace("2", "4"), "MM")):
        file.write_text(content + SALT)
        environment.refresh_git_status()
        assert git("ls-files", "--stage") == index, "what is staged is the person's"
        assert git("status", "--short") == f"{status} Pulumi.dev.yaml\n M other\n", "an edit is shown, a salt is not"
    assert "salt" not in git("diff")
