"""The validators of the settings of TLS; `pem` reads the file system."""

import json
import re
from contextlib import suppress
from urllib.parse import urlsplit

from components.settings.validators import file_text, invalid, text, with_host

EXAMPLE_VARIABLE = "CLOUDFLARE_DNS_API_TOKEN"  # of acmeDnsCredentials


def hostname(value: object) -> str:
    """Return a host name in lower case, of at most 64 characters: a certificate's common name has no room for more."""
    name = text(value).lower()
    if "://" in name:
        raise invalid("is an address, not a host name", urlsplit(name).hostname)
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if not re.fullmatch(rf"{label}(\.{label})*", name) or re.fullmatch(r"[0-9.]+", name) or len(name) > 64:  # noqa: PLR2004
        raise invalid("is not a host name such as dhis2.example.org")
    return name


def email(value: object) -> str:
    """Return a mail address."""
    address = text(value)
    if not re.fullmatch(r"[^@\s\"<>,;]+@[^@\s\"<>,;]+", address):
        raise invalid("is not a mail address such as admin@example.org")
    return address


def https_url(value: object) -> str:
    """Return an https address: the ACME protocol has no other."""
    url = text(value)
    if not url.lower().startswith("https://"):
        raise invalid("does not begin with https://", f"https://{url}" if url and "://" not in url else None)
    with_host(url)
    return url


def pem(value: object) -> str:
    """Return PEM text: that of a file, or the value itself. What is in it is checked by preflight."""
    content = value if isinstance(value, str) else text(value)
    if "-----BEGIN " in content:
        return content
    try:
        content = file_text(value, "ascii")
    except UnicodeDecodeError:
        content = ""
    if "-----BEGIN " not in content:
        raise invalid("is not a PEM file; convert it: openssl x509 -inform der -in FILE -out FILE.pem")
    return content


def dns_provider(value: object) -> str:
    """Return lego's name of a DNS provider; whether it has one of that name, lego reports."""
    name = text(value).lower()
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise invalid("is not a DNS provider such as cloudflare; lego's names: https://go-acme.github.io/lego/dns/")
    return name


def dns_credentials(value: object) -> dict[str, str]:
    """Return variables and values of a map or its JSON text, in which Pulumi delivers it. Values are in no message."""
    if isinstance(value, str):
        with suppress(json.JSONDecodeError):
            value = json.loads(value.strip() or "{}")
    if not isinstance(value, dict):
        raise invalid("is not a map of lego's variables to values")
    for name, content in value.items():
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", str(name), re.ASCII):
            raise invalid(
                "is not one of lego's variables, such as {example}", subject=json.dumps(name), example=EXAMPLE_VARIABLE
            )
        if isinstance(content, bool) or not isinstance(content, str | int) or not str(content):
            raise invalid("has a value that is not text", subject=str(name))
    return {name.removesuffix("_FILE"): str(content) for name, content in value.items()}
