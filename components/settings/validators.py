"""The checks of single settings: from what Pulumi delivers (mostly text) to a typed value.

Pure, except that a dump file is looked at. Each takes the value and returns the typed one, or raises `Wrong`, whose
text continues a sentence that begins with the value.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from components.dhis2.dhis_conf_keys import why_owned
from components.dhis2.dump_url import is_http_url, local_path
from components.dhis2.image_reference import image_parts
from components.dhis2.release import NO_DUMP

UNSET = ""  # how Pulumi.yaml writes the default of an optional setting
PASSWORD_LENGTH = (8, 72)  # DHIS2's own rule; bcrypt reads no more than 72 bytes

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,6})\s*([mg])i?b?", re.ASCII | re.IGNORECASE)
_DHIS_CONF_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DOCKER_SCHEMES = ("unix", "tcp", "ssh", "npipe")


class Wrong(ValueError):
    """One mistake. `text` follows the value ("two" `is not …`); `value` is what to set instead: None = the setting's
    example, UNSET = remove the setting. `subject` replaces the value at the beginning of the sentence, `command` the
    mending command."""

    def __init__(
        self, text: str, value: str | None = None, *, subject: str | None = None, command: str | None = None
    ) -> None:
        super().__init__(text)
        self.text, self.value, self.subject, self.command = text, value, subject, command


class WrongMany(ValueError):
    """Several mistakes inside one setting."""

    def __init__(self, wrongs: list[Wrong]) -> None:
        super().__init__(f"{len(wrongs)} mistakes")
        self.wrongs = wrongs


def integer(value: object) -> int:
    """`2` or `"2"`; booleans, fractions and words are refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if _WHOLE.fullmatch(text):
        return int(text)
    raise Wrong("is not a whole number")


def megabytes(value: object) -> int:
    """A whole number of MB; a size with a unit, such as `2g`, is answered with its megabytes."""
    size = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if size:
        factor = 1024 if size[2].lower() == "g" else 1
        raise Wrong("is not a whole number (of megabytes, without a unit)", str(int(size[1]) * factor))
    return integer(value)


def boolean(value: object) -> bool:
    """`true`, `false`, or these as text, which is what `pulumi config set` stores."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip() in ("true", "false"):
        return value.strip() == "true"
    raise Wrong("is neither true nor false")


def text(value: object) -> str:
    """One line of text, outer spaces removed. Numbers are taken too: an unquoted `42` in a stack file is one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Wrong("is not a text")
    found = str(value).strip()
    if _CONTROL.search(found):
        raise Wrong("has line breaks or control characters")
    return found


def image(value: object) -> str:
    """An image reference that names its version by tag or digest."""
    found = text(value)
    try:
        _, tag, digest = image_parts(found)
    except ValueError:
        raise Wrong("is not an image reference such as dhis2/core:2.42") from None
    if tag is None and digest is None:
        raise Wrong("names no version, and Docker would take whatever is latest")
    return found


def dump_url(value: object) -> str:
    """`none`, an http(s) address with a host, or a file that exists (`file:` or a path)."""
    found = text(value)
    if found.lower() == NO_DUMP:
        return NO_DUMP
    scheme = found.partition("://")[0].lower() if "://" in found else ""
    if is_http_url(found):
        _web_address(found)
        return found
    if scheme and scheme != "file":
        raise Wrong("is neither http(s), file: nor a path")
    path = Path(local_path(found))
    if path.is_dir():
        raise Wrong("is a directory, not a dump file")
    if not path.is_file():
        looks_like_host = re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+/", found, re.IGNORECASE)
        if looks_like_host:
            raise Wrong("is no file here; a web address begins with https://", f"https://{found}")
        raise Wrong("is no file here (paths start at the project's directory)")
    if path.stat().st_size == 0:
        raise Wrong("is an empty file")
    return found


def ip_address(value: object) -> str:
    """An IPv4 or IPv6 address of the Docker host, `0.0.0.0` for all."""
    found = text(value)
    try:
        return str(ipaddress.ip_address(found.strip("[]")))
    except ValueError:
        hint = "127.0.0.1" if found.lower() == "localhost" else None
        raise Wrong("is not an IP address", hint) from None


def base_url(value: object) -> str:
    """Absolute http(s) address without trailing slash, user, query or fragment: what `server.base.url` must be."""
    found = text(value)
    if not is_http_url(found):
        raise Wrong(
            "does not begin with http:// or https://", None if "://" in found else f"https://{found.strip('/')}"
        )
    parts = _web_address(found)
    if parts.username or parts.query or parts.fragment:
        raise Wrong("has more than scheme, host, port and path")
    if found.endswith("/"):
        raise Wrong("ends with a slash, which DHIS2 would double in every link", found.rstrip("/"))
    return parts.scheme + found[len(parts.scheme) :]  # in small letters: others look whether it is https


def docker_host(value: object) -> str:
    """The address of a Docker engine: unix://, tcp://, ssh:// or npipe://."""
    found = text(value)
    parts = urlsplit(found)
    if "://" not in found or parts.scheme not in _DOCKER_SCHEMES:
        raise Wrong("is not an address such as unix:///var/run/docker.sock, tcp://host:2375 or ssh://user@host")
    if parts.password:
        raise Wrong("has a password in it; Docker uses the keys of ssh", f"ssh://{parts.username}@{parts.hostname}")
    if parts.scheme in ("tcp", "ssh"):
        _web_address(found)
    elif not parts.path.strip("/"):
        raise Wrong("names no socket", "unix:///var/run/docker.sock")
    return found


def java_options(value: object) -> str:
    """Options for JAVA_TOOL_OPTIONS, appended to the program's own."""
    found = text(value)
    for option in found.split():
        if option.startswith("-Ddhis2.home="):
            raise Wrong("moves DHIS2's home away from the dhis.conf this program puts there", UNSET)
        if not option.startswith(("-", "@", '"', "'")) and option == found.split()[0]:
            raise Wrong("does not begin with an option (-X…, -D…)")
    return found


def admin_password(value: object) -> str:
    """DHIS2's password rules. The value appears in no message."""
    found = value if isinstance(value, str) else ""
    shortest, longest = PASSWORD_LENGTH
    missing = [
        name
        for name, pattern in (
            ("an upper-case letter", r"[A-Z]"),
            ("a lower-case letter", r"[a-z]"),
            ("a digit", r"[0-9]"),
            ("a special character", r"[^A-Za-z0-9]"),
        )
        if not re.search(pattern, found)
    ]
    faults = [f"has no {name.split(' ', 1)[1]}" for name in missing]
    if not shortest <= len(found) or len(found.encode()) > longest:
        faults.insert(0, f"is not {shortest} to {longest} characters long")
    if _CONTROL.search(found):
        faults.append("has line breaks or control characters")
    if faults:
        raise Wrong(", ".join(faults) + ": DHIS2 would refuse it")
    return found


def dhis_conf(value: object) -> dict[str, str]:
    """A map of dhis.conf keys to values; nested maps, which `pulumi config set --path dhisConf.a.b` makes, are joined
    by dots. All mistakes are raised together. Values appear in no message: some are other systems' secrets."""
    if not isinstance(value, Mapping):
        raise Wrong("is not a map of dhis.conf keys to values")
    found: dict[str, str] = {}
    wrongs: list[Wrong] = []
    for key, path, entry in _flat(value):
        remove = f"pulumi config rm --path '{path}'"
        reason = why_owned(key)
        if not _DHIS_CONF_KEY.fullmatch(key):
            wrongs.append(Wrong("is not a dhis.conf key", subject=f'"{key}"', command=remove))
        elif reason:
            wrongs.append(Wrong(f"belongs to this program: {reason}", subject=key, command=remove))
        elif isinstance(entry, bool):
            found[key] = "on" if entry else "off"
        elif not isinstance(entry, str | int | float) or _CONTROL.search(str(entry)):
            example = f"pulumi config set --path '{path}' on"
            wrongs.append(Wrong("has a value that is not one line of text", subject=key, command=example))
        else:
            found[key] = str(entry).strip()
    if wrongs:
        raise WrongMany(wrongs)
    return found


def dhis_conf_path(key: str) -> str:
    """How `pulumi config --path` names one dhis.conf key; the quotes keep its dots from making nested maps."""
    return f'dhisConf["{key}"]'


def _flat(value: Mapping[object, object], prefix: str = "", parent: str = "dhisConf") -> list[tuple[str, str, object]]:
    """(dotted key, path in the stack's config, value) of every leaf."""
    flat: list[tuple[str, str, object]] = []
    for key, entry in value.items():
        path = f'{parent}["{key}"]'
        if isinstance(entry, Mapping) and entry:
            flat += _flat(entry, f"{prefix}{key}.", path)
        else:
            flat.append((f"{prefix}{key}", path, entry))
    return flat


def _web_address(found: str) -> SplitResult:
    try:
        parts = urlsplit(found)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Wrong("has a host or port nobody can connect to") from None
    if not host:
        raise Wrong("names no host")
    if re.search(r"\s", found):
        raise Wrong("has spaces in it")
    return parts
