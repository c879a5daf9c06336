"""The validator of `fileStore`, and what it names: where DHIS2 keeps uploaded files and apps."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic_core import PydanticCustomError

from components.settings.validators import invalid, text, with_host

VOLUME = "volume"
AWS_REGION = "us-east-1"  # S3's own default
_NFS = re.compile(r"nfs://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*)(/\S*)")
S3_FORM = "s3://bucket?endpoint=https://s3.example.org&region=us-east-1"
_RESET = "pulumi config rm fileStore"  # a bucket is valid with its keys only
_BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:(?:\.|-+)[a-z0-9]+)*")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class NfsExport:
    """A folder that an NFS server exports. `server` is a host name or an IP address, without brackets."""

    server: str
    path: str

    def __str__(self) -> str:
        return f"nfs://{bracketed(self.server)}{self.path}"


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server: `endpoint` is its http(s) address without trailing slash, empty for AWS."""

    name: str
    endpoint: str = ""
    region: str = AWS_REGION

    def __str__(self) -> str:
        return f"s3://{self.name}" + (f" of {self.endpoint}" if self.endpoint else f" of AWS in {self.region}")

    @property
    def server(self) -> str:
        """The http(s) address of the S3 server, also that of AWS."""
        if self.endpoint:
            return self.endpoint
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{self.region}.{domain}"


Place = NfsExport | Bucket | None  # None: the volume of the stack


def place_of(value: str) -> Place:
    """Return what a valid `fileStore` names."""
    if value.startswith("nfs://"):
        match = _NFS.fullmatch(value)
        return NfsExport(match[1].strip("[]"), match[2]) if match else None
    if value.startswith("s3://"):
        parts = urlsplit(value)
        options = dict(parse_qsl(parts.query))
        return Bucket(parts.netloc, options.get("endpoint", ""), options.get("region", AWS_REGION))
    return None


def address(value: object) -> str:
    """Return `volume`, `nfs://server/export/path`, or `s3://bucket?endpoint=…&region=…` in one form."""
    line = text(value)
    if line == VOLUME:
        return line
    if line.startswith("nfs:"):
        return _nfs(line)
    if line.startswith("s3:"):
        return _s3(line)
    raise invalid(
        "is neither volume, nor nfs://server/export/path, nor {form}",
        VOLUME if line.lower() == VOLUME else None,
        form=S3_FORM,
    )


def bracketed(host: str) -> str:
    """Return a host as addresses have it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _nfs(line: str) -> str:
    match = _NFS.fullmatch(line)
    if not match or match[2].strip("/") == "":
        raise invalid("does not name a server and a folder that it exports", "nfs://nfs.example.org/srv/dhis2")
    if "," in match[2]:
        raise invalid("has a comma, which separates mount options", "nfs://nfs.example.org/srv/dhis2")
    host = match[1].strip("[]")
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            raise invalid("has an invalid IPv6 address") from None
    return f"nfs://{match[1]}/{match[2].strip('/')}"


def _s3(line: str) -> str:
    try:
        parts = urlsplit(line)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise invalid(
            "has invalid options behind its question mark; the form is {form}", form=S3_FORM, command=_RESET
        ) from None
    if parts.username is not None or parts.password is not None:
        raise invalid("has a login in it: fileStoreAccessKey and fileStoreSecretKey are for the keys", command=_RESET)
    if not _BUCKET.fullmatch(parts.netloc):
        raise invalid(
            "does not name a bucket, which has 3 to 63 lower-case letters, digits, dots and hyphens; the form is {form}",
            form=S3_FORM,
            command=_RESET,
        )
    if parts.path.strip("/") or parts.fragment:
        raise invalid("has a path, and DHIS2 uses a whole bucket", command=_RESET)
    named = dict(options)
    unknown = next((name for name in named if name not in ("endpoint", "region")), None)
    if unknown or len(named) != len(options):
        raise invalid(
            "may have one endpoint and one region behind its question mark; the form is {form}",
            form=S3_FORM,
            command=_RESET,
        )
    found = {}
    if named.get("endpoint"):
        found["endpoint"] = _endpoint(named["endpoint"])
    if "region" in named:
        if not _REGION.fullmatch(named["region"]):
            raise invalid("has a region that is not letters, digits and hyphens", command=_RESET)
        found["region"] = named["region"]
    query = "&".join(f"{name}={quote(content, safe=':/[]')}" for name, content in found.items())
    return f"s3://{parts.netloc}" + (f"?{query}" if query else "")


def _endpoint(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise invalid("has an endpoint that does not begin with http:// or https://", command=_RESET)
    try:
        parts = with_host(url)
    except PydanticCustomError:
        raise invalid("has an endpoint with an invalid host or port", command=_RESET) from None
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise invalid("has an endpoint with more than scheme, host and port", command=_RESET)
    return f"{parts.scheme}://{parts.netloc}"
