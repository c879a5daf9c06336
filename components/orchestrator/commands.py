"""Commands and files in the containers of a Docker Engine."""

import io
import struct
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

from docker import DockerClient
from docker.errors import NotFound, create_api_error_from_http_exception
from requests.exceptions import HTTPError

NOT_RUNNING = -1
_FRAME_HEADER = struct.Struct(">BxxxL")  # stream, size in bytes: Docker Engine API, "Stream format" of attach


def execute(client: DockerClient, name: str, command: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output of a command in a container; NOT_RUNNING where the container ended before it.

    Raises docker.errors.APIError where the container does not run.
    """
    exec_id = client.api.exec_create(name, list(command))["Id"]
    output = b"".join(_frames(_start(client, exec_id))).decode(errors="replace")
    ended: dict[str, Any] = client.api.exec_inspect(exec_id)  # type: ignore[no-untyped-call]
    code = ended["ExitCode"]
    return (NOT_RUNNING if code is None else int(code)), output


def read_file(client: DockerClient, name: str, path: str) -> str | None:
    """Return the text of a file in a container, running or not; None when there is no such container or file."""
    try:
        chunks, _ = client.api.get_archive(name, path)
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read().decode() if file else None


def marker_of(text: str | None) -> dict[str, str]:
    """Return the keys and values of a marker, the lines KEY=VALUE in which a container records what it has done."""
    return dict(line.split("=", 1) for line in (text or "").splitlines() if "=" in line)


def _start(client: DockerClient, exec_id: str) -> bytes:
    """Start a command and return its output in frames.

    Not with the SDK's exec_start: that one loses what arrives together with the headers of the response
    (docker/docker-py, issue 2042). A command may be silent for as long as it likes.
    """
    api = client.api
    url = f"{api.base_url}/v{api.api_version}/exec/{exec_id}/start"
    response = api.post(url, json={"Detach": False, "Tty": False}, timeout=None)
    try:
        response.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)  # raises
    return response.content


def _frames(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        _, size = _FRAME_HEADER.unpack_from(content, start)
        start += _FRAME_HEADER.size
        yield content[start : start + size]
        start += size
