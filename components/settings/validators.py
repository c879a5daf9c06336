"""The validators of single settings: from what Pulumi delivers (mostly text) to a typed value.

A validator takes the value and returns the typed one, or raises the error of `invalid`. Only those of the dump and of
other files read the file system.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from urllib.parse import SplitResult, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from components.dhis2.dump_url import is_http_url, local_path
from components.dhis2.image_reference import image_parts
from components.dhis2.release import NO_DUMP, version_of_image
from components.dhis2.version import ReleaseError, parse_version

UNSET = (None, "")  # empty text is how Pulumi.yaml writes the default of an optional setting
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
HOST = "host"  # of trustedProxies: the Docker host

_DOCKER_SCHEMES = ("unix", "tcp", "ssh", "npipe")


def invalid(message: LiteralString, instead: str | None = None, **context: object) -> PydanticCustomError:
    """Return the error of an invalid setting.

    `message` continues a sentence that begins with the value: `"two"` + `is not …`; its {names} are from `context`.
    `instead` is the value to set; None = the setting's example. `subject` in the context replaces the value at the
    beginning of the sentence, `shown` does too where the value may be shown, and `command` the command that fixes it.
    """
    return PydanticCustomError("invalid_setting", message, {"instead": instead, **context})


@dataclass(frozen=True)
class Unset:
    """Makes a setting optional: no value and empty text become `value`, which pages call `meaning`."""

    meaning: str
    value: str | None = None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, validate: self.value if value in UNSET else validate(value), handler(source)
        )


def boolean(value: object) -> bool:
    """Return the boolean of `true` or `false`, or of these as text, which is what `pulumi config set` stores."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip() in ("true", "false"):
        return value.strip() == "true"
    raise invalid("is not a boolean: true or false")


def text(value: object) -> str:
    """Return one line of text, outer spaces removed. Numbers are valid: an unquoted `42` in a stack file is one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise invalid("is not text")
    line = str(value).strip()
    if CONTROL_CHARACTER.search(line):
        raise invalid("has line breaks or control characters")
    return line


def version(value: object) -> str:
    """Return the text of a DHIS2 version this program can run."""
    line = text(value)
    try:
        parse_version(line)
    except ReleaseError as error:
        raise invalid("{reason}", error.instead, reason=error.reason) from None
    return line


def image(value: object) -> str:
    """Return an image reference that has a tag or digest."""
    reference = text(value)
    try:
        _, tag, digest = image_parts(reference)
    except ValueError:
        raise invalid("is not an image reference such as dhis2/core:2.42") from None
    if tag is None and digest is None:
        raise invalid("has no tag, and Docker would pull whatever is latest")
    return reference


def dhis2_image(value: object) -> str:
    """Return the reference of a DHIS2 image this program can run."""
    reference = image(value)
    try:
        version_of_image(reference)
    except ReleaseError as error:
        raise invalid("{reason}", reason=error.reason) from None
    return reference


def dump_url(value: object) -> str:
    """Return `none`, an http(s) address with a host, or a file that exists (`file:` or a path)."""
    address = text(value)
    if address.lower() == NO_DUMP:
        return NO_DUMP
    if is_http_url(address):
        with_host(address)
        return address
    if "://" in address and not address.lower().startswith("file://"):
        raise invalid("is not an http(s) address, file: or path")
    path = Path(local_path(address))
    if path.is_dir():
        raise invalid("is a directory, not a dump file")
    if not path.is_file():
        if re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+/", address, re.IGNORECASE):
            raise invalid(
                "cannot be read: file not found; an http(s) address begins with https://", f"https://{address}"
            )
        raise invalid("cannot be read: file not found (a relative path starts at the project's directory)")
    if path.stat().st_size == 0:
        raise invalid("is an empty file")
    return address


def file_text(value: object, encoding: str) -> str:
    """Return the text of a file, by its path. Raises UnicodeDecodeError where it is not in this encoding."""
    try:
        return Path(text(value)).read_text(encoding=encoding)
    except OSError as error:
        reason = "file not found" if isinstance(error, FileNotFoundError) else error.strerror
        raise invalid(
            "cannot be read: {reason} (a relative path starts at the project's directory)", reason=reason
        ) from None


def ip_address(value: object) -> str:
    """Return an IPv4 or IPv6 address of the Docker host; `0.0.0.0` is all of them."""
    address = text(value)
    try:
        return str(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        raise invalid("is not an IP address", "127.0.0.1" if address.lower() == "localhost" else None) from None


def is_local(host: str) -> bool:
    """Return whether a host name or IP address is one of the machine it is used on."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def trusted_proxies(value: object) -> tuple[str, ...]:
    """Return networks of proxies, and `host` for the Docker host, from a list or from text with commas between them."""
    return tuple(sorted({_proxy(name) for entry in listed(value) if (name := text(entry))}))


def listed(value: object) -> list[object]:
    """Return the entries of a list, or of text with commas between them."""
    if isinstance(value, str):
        with suppress(json.JSONDecodeError):  # in which Pulumi delivers a list
            value = json.loads(value)
    return [*value] if isinstance(value, list | tuple) else [*text(value).split(",")]


def _proxy(name: str) -> str:
    if name == HOST:
        return name
    written = name.strip("[]")
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    try:
        network = ipaddress.ip_network(written, strict=False)
    except ValueError:
        network = None
    if network is None or "%" in written:
        message = "has {name}, which is no IP address, network or the word host"
        raise invalid(message, HOST if name.lower() in (HOST, "localhost") else None, name=json.dumps(name))
    if network.prefixlen == 0:
        raise invalid("has {name}, which is every address: anyone could choose the address that DHIS2 sees", name=name)
    if network.is_loopback:
        message = "has {name}: within its container that is the load balancer itself; the Docker host is host"
        raise invalid(message, HOST, name=name)
    if "/" in written and ipaddress.ip_address(written.partition("/")[0]) != network.network_address:
        raise invalid("has {name}, an address within the network {network}", str(network), name=name, network=network)
    # NGINX sees such a client under its IPv4 address.
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    return f"{mapped}/{network.prefixlen - 96}" if mapped and network.prefixlen >= 96 else str(network)  # noqa: PLR2004


def base_url(value: object) -> str:
    """Return an absolute http(s) address without path, user, query or fragment, as `server.base.url` needs.

    Its scheme is in lower case: others test whether it is https.
    """
    url = text(value)
    if not is_http_url(url):
        instead = None if "://" in url else f"https://{url.strip('/')}"
        raise invalid("does not begin with http:// or https://", instead)
    parts = with_host(url)
    if parts.username or parts.query or parts.fragment:
        raise invalid("has more than scheme, host and port")
    root = f"{parts.scheme}://{parts.netloc}"
    if parts.path.strip("/"):
        raise invalid("has a path: DHIS2 is served at the root of its host, so give it a host name of its own", root)
    if parts.path:
        raise invalid("ends with a slash, which DHIS2 would double in every link", root)
    return root


def docker_host(value: object) -> str:
    """Return the address of a Docker Engine: unix://, tcp://, ssh:// or npipe://."""
    address = text(value)
    scheme, separator, rest = address.partition("://")
    if not separator or scheme.lower() not in _DOCKER_SCHEMES:
        raise invalid("is not an address such as unix:///var/run/docker.sock, tcp://host:2375 or ssh://user@host")
    if scheme.lower() in ("tcp", "ssh"):
        parts = with_host(address)
        if parts.password:
            instead = f"ssh://{parts.username or 'user'}@{parts.hostname}"
            raise invalid("has a password in it; Docker uses SSH keys", instead)
    elif not rest.strip("/"):
        raise invalid("has no path of a socket", "unix:///var/run/docker.sock")
    return address


def java_options(value: object) -> str:
    """Return options for JAVA_TOOL_OPTIONS, to be appended to the program's own."""
    line = text(value)
    options = line.split()
    if any(option.startswith("-Ddhis2.home=") for option in options):
        message = "moves DHIS2's home directory away from the dhis.conf of this program"
        raise invalid(message, command="pulumi config rm javaOptions")
    if options and not options[0].startswith(("-", "@", '"', "'")):
        raise invalid("does not begin with an option (-X…, -D…)")
    return line


def password(value: object) -> str:
    """Return a password that follows DHIS2's rules; bcrypt reads no more than 72 bytes."""
    secret = value if isinstance(value, str) else ""
    long_enough = len(secret) >= 8 and len(secret.encode()) <= 72  # noqa: PLR2004 - DHIS2's own rule
    kinds = (r"[A-Z]", r"[a-z]", r"[0-9]", r"[^A-Za-z0-9]")
    if not long_enough or CONTROL_CHARACTER.search(secret) or not all(re.search(kind, secret) for kind in kinds):
        raise invalid(
            "is not a password DHIS2 accepts: 8 to 72 characters on one line, with an upper-case letter, a lower-case letter, a digit and a special character"
        )
    return secret


def encryption_password(value: object) -> str:
    """Return an encryption.password that DHIS2 encrypts with; Java's ciphers take printable ASCII only."""
    secret = value if isinstance(value, str) else ""
    if not re.fullmatch(r"[!-~][ -~]{22,}[!-~]", secret):
        raise invalid(
            "is not an encryption password: DHIS2 encrypts only with 24 characters or more, and they must be printable ASCII without spaces at either end"
        )
    return secret


def one_of(*values: str) -> Callable[[object], str]:
    """Return a validator of one of these words; false is `off`, since YAML reads an unquoted off as false."""

    def word(value: object) -> str:
        name = "off" if value is False and "off" in values else text(value)
        if name not in values:
            near = next((known for known in values if known.lower() == name.lower()), None)
            raise invalid("is none of {values}", near, values=", ".join(values))
        return name

    return word


def with_host(url: str) -> SplitResult:
    """Return the parts of an address that has a host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise invalid("has an invalid host or port") from None
    if not host:
        raise invalid("has no host")
    if re.search(r"\s", url):
        raise invalid("has spaces in it")
    return parts
