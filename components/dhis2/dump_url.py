"""Where a database dump comes from: http(s) addresses and local files."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


def is_http_url(text: str) -> bool:
    """Return True for an http or https address; the scheme may have capitals."""
    return text.lower().startswith(("http://", "https://"))


def local_path(text: str) -> str:
    """Return the path of a `file:` address or plain path; `~` is the home directory. Relative paths stay relative."""
    path = text
    if text.lower().startswith("file:"):
        path = text[len("file:") :]
        if path.startswith("//"):
            path = "/" + path.lstrip("/") if path.startswith("///") else path[2:]
    return str(Path(path).expanduser()) if path.startswith("~") else path


def redacted_url(url: str) -> str:
    """Return the address without user, password, query and fragment: fit for messages, labels and logs."""
    if not is_http_url(url):
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
