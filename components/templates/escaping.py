r"""Escape text so that a configuration format reads back exactly that text; Jinja filters of the templates.

Sources: java.util.Properties.load; StringSubstitutor of commons-text, which DHIS2 runs over every value of dhis.conf;
valkey.conf, whose double-quoted strings know \\, \" and \xHH.
"""

import re

_NAMED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_PRINTABLE = range(0x20, 0x7F)
# Without a closing brace somewhere after it DHIS2 sees no variable, and takes no doubled `$` away either.
_DOUBLED = re.compile(r"\$\$\{(?=.*\})", re.DOTALL)
_BY_NAME = {name[1]: char for char, name in _NAMED.items()}
_VARIABLE = re.compile(r"\$\{(?=.*\})", re.DOTALL)


def property_key(text: str) -> str:
    """Return a key for a .properties file. Raises ValueError for an empty key, which no line can hold."""
    if not text:
        raise ValueError("a key of a .properties file may not be empty")
    # The key ends at the first separator, and `#` or `!` in front make the line a comment.
    return "".join(f"\\{char}" if char in " =:#!" else _ascii(char) for char in text)


def property_value(text: str) -> str:
    """Return a value for dhis.conf that is read literally: `${X}` in it is not replaced by the environment.

    DHIS2 trims what it has read, so blanks at either end are lost, whatever is written.
    """
    # str: a template's undefined value says so here, where the expression would only complain of its type.
    written = "".join(_ascii(char) for char in _VARIABLE.sub("$${", str(text)))
    return f"\\{written}" if written.startswith(" ") else written


def property_text(value: str) -> str:
    """Return the text of which `property_value` has made a value."""

    def char(match: re.Match[str]) -> str:
        escaped = match[1]
        return chr(int(escaped[1:], 16)) if len(escaped) > 1 else _BY_NAME.get(escaped, escaped)

    units = re.sub(r"\\(u[0-9a-f]{4}|.)", char, value)
    text = units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _DOUBLED.sub("${", text)


def valkey_string(text: str) -> str:
    """Return a double-quoted string for valkey.conf or redis.conf, bytes outside ASCII as UTF-8."""
    return '"' + "".join(_valkey_byte(byte) for byte in text.encode()) + '"'


FILTERS = {escape.__name__: escape for escape in (property_key, property_value, valkey_string)}


def _ascii(char: str) -> str:
    """Return one character for a file that Java reads as Latin-1; beyond the basic plane it takes two UTF-16 units."""
    if char in _NAMED:
        return _NAMED[char]
    if ord(char) in _PRINTABLE:
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _valkey_byte(byte: int) -> str:
    if byte in b'"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if byte in _PRINTABLE else f"\\x{byte:02x}"
