"""What Java and DHIS2 make of a dhis.conf, written again by the rules of their documentation."""

import re
from collections.abc import Mapping

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_TRIMMED = "".join(chr(code) for code in range(0x21))  # by Java's String.trim
_VARIABLE = re.compile(r"\$(?P<escaped>\$\{)(?=.*\})|\$\{(?P<name>[^}]*)\}", re.DOTALL)


def load(text: str) -> dict[str, str]:
    """The keys and values java.util.Properties.load reads from a Latin-1 file."""
    found = {}
    for line in _logical_lines(text):
        key_end = re.match(r"(?:\\.|[^\\=:\s])*", line)
        assert key_end is not None, "the pattern matches the empty text too"
        rest = re.sub(r"^[ \t\f]*[=:]?[ \t\f]*", "", line[key_end.end() :], count=1)
        found[_unescaped(line[: key_end.end()])] = _unescaped(rest)
    return found


def substituted(value: str, environment: Mapping[str, str]) -> str:
    """A value after DHIS2's look at the environment: `${X}` is replaced where known, `$${X}` loses its first `$`."""

    def replaced(match: re.Match[str]) -> str:
        return match["escaped"] or environment.get(match["name"], match.group())

    return _VARIABLE.sub(replaced, value).strip(_TRIMMED)


def _logical_lines(text: str) -> list[str]:
    lines, kept = [], ""
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not kept and (not line or line[0] in "#!"):
            continue
        kept += line
        ending = len(kept) - len(kept.rstrip("\\"))
        if ending % 2:
            kept = kept[:-1]
        else:
            lines.append(kept)
            kept = ""
    return lines


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        escaped = match.group(1)
        return chr(int(escaped[1:], 16)) if len(escaped) > 1 else _ESCAPES.get(escaped, escaped)

    units = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", character, text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
