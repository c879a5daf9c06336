"""Keeps a checkout clean although Pulumi writes into committed stack files.

`pulumi stack init` adds an `encryptionsalt` line to Pulumi.<stack>.yaml: the file would show as modified for ever, and
committed it would break everybody else, whose passphrase is another. Of the ways out this one leaves plain Pulumi as it
is: a git clean filter (.gitattributes, set up by `make up` in this clone's git configuration) hides the line from git
and nothing else, so `pulumi config set cores 2` still lands in the file people look at and still shows in `git diff`.
`stackConfigDir` or a copy named with `--config-file` would make edits of the committed file do nothing.
A file with secrets keeps its salt, also in git: without it the secrets could not be read any more.

As a program: filters standard input to standard output, which is how git calls it.
"""

import re
import sys

_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)
_SECRET = re.compile(r"^\s+(?:- )?[\"']?secure[\"']?:", re.MULTILINE)


def has_salt(text: str) -> bool:
    """Tell whether Pulumi has written a salt into this stack file."""
    return _SALT.search(text) is not None


def has_secret(text: str) -> bool:
    """Tell whether a stack file holds a secret, which only the passphrase it was written with can read."""
    return _SECRET.search(text) is not None


def without_idle_salt(text: str) -> str:
    """Return the stack file without its salt line, unless secrets need it."""
    return text if has_secret(text) else _SALT.sub("", text)


if __name__ == "__main__":
    # As bytes: git's content must come back exactly, whatever its line ends and the locale are.
    content = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(without_idle_salt(content).encode("utf-8", "surrogateescape"))
