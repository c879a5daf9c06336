"""Commands, files and logs in the containers of a Docker Engine."""

import io
import struct
import tarfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from docker import DockerClient
from docker.errors import NotFound, create_api_error_from_http_exception
from requests import Response
from requests.exceptions import HTTPError, RequestException
from urllib3.exceptions import HTTPError as StreamError

NOT_RUNNING = -1
STDOUT, STDERR = 1, 2  # the numbers of streams
Frame = tuple[int, bytes]  # stream and content
_FRAME_HEADER = struct.Struct(">BxxxL")  # stream, size in bytes: Docker Engine API, "Stream format" of attach


def execute(client: DockerClient, name: str, command: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output of a command in a container, as `execute_frames` does, as text."""
    code, frames = execute_frames(client, name, command)
    return code, b"".join(content for _, content in frames).decode(errors="replace")


def execute_frames(client: DockerClient, name: str, command: Sequence[str]) -> tuple[int, list[Frame]]:
    """Return exit code and output of a command in a container; NOT_RUNNING where the container ended before it.

    Raises docker.errors.APIError where the container does not run.
    """
    exec_id = client.api.exec_create(name, list(command))["Id"]
    frames = list(_frames(io.BytesIO(_start(client, exec_id)).read))
    ended: dict[str, Any] = client.api.exec_inspect(exec_id)  # type: ignore[no-untyped-call]
    code = ended["ExitCode"]
    return (NOT_RUNNING if code is None else int(code)), frames


def read_file(client: DockerClient, name: str, path: str) -> str | None:
    """Return the text of a file in a container, running or not; None when there is no such container or file."""
    try:
        chunks, _ = client.api.get_archive(name, path)
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read().decode() if file else None


def write_file(client: DockerClient, name: str, path: str, content: str | bytes, uid: int) -> None:
    """Replace a file in a running container, atomically; only `uid`, the container's user, can read it.

    Raises docker.errors.APIError where the container does not run.
    """
    folder, _, file = path.rpartition("/")
    content, entry = content.encode() if isinstance(content, str) else content, tarfile.TarInfo(f".{file}.new")
    entry.size, entry.uid, entry.gid, entry.mode, entry.mtime = len(content), uid, uid, 0o600, int(time.time())
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(entry, io.BytesIO(content))
        client.api.put_archive(name, folder, packed.getvalue())
    code, output = execute(client, name, ["mv", "-f", f"{folder}/.{file}.new", path])
    if code:
        raise OSError(f"{path} in {name} could not be replaced: {output.strip()}")


def read_log(client: DockerClient, name: str, *, since_seconds: float, tail: str, follow: bool) -> Generator[bytes]:
    """Yield the log of a container in pieces, each line behind Docker's timestamp, from a time in epoch seconds on.

    `tail` is a number of lines or `all`. With `follow` it ends when the container exits.
    """
    options: dict[str, str | float] = {"follow": int(follow), "since": since_seconds, "tail": tail, "timestamps": 1}
    yield from (content for _, content in _log_frames(client, f"containers/{name}", options, None))


def read_task_log(
    client: DockerClient, task: str, *, since_seconds: float, tail: str, follow: bool, timeout_seconds: float
) -> Generator[bytes]:
    """Yield the log of a swarm's task as `read_log` does. Raises RequestException where its node does not answer.

    A log that is followed may be silent for as long as it likes.
    """
    options: dict[str, str | float] = {"follow": int(follow), "since": since_seconds, "tail": tail, "timestamps": 1}
    seconds = None if follow else timeout_seconds
    yield from (content for _, content in _log_frames(client, f"tasks/{task}", options, seconds))


def read_service_log(
    client: DockerClient, name: str, *, tail: str, timeout_seconds: float, of: str = "services"
) -> Generator[bytes]:
    """Yield the log of all tasks of a swarm's service in pieces, or of one of `tasks`; `tail` is as in `read_log`.

    Raises RequestException where a node does not answer in time or Docker Engine refuses; APIError is one, too.
    """
    frames = read_service_frames(client, name, tail=tail, timeout_seconds=timeout_seconds, of=of)
    yield from (content for _, content in frames)


def read_service_frames(
    client: DockerClient, name: str, *, tail: str, timeout_seconds: float, of: str = "services"
) -> Generator[Frame]:
    """Yield what `read_service_log` does, with the stream of each piece."""
    yield from _log_frames(client, f"{of}/{name}", {"tail": tail}, timeout_seconds)


def _log_frames(
    client: DockerClient, logged: str, options: dict[str, str | float], timeout_seconds: float | None
) -> Generator[Frame]:
    """Yield the log of what is at a path of Docker Engine's API.

    Not with the SDK's logs: over ssh that one never closes the response, which keeps a session of the connection.
    """
    api = client.api
    params = {"stdout": 1, "stderr": 1, **options}
    url = f"{api.base_url}/v{api.api_version}/{logged}/logs"
    with api.get(url, params=params, stream=True, timeout=timeout_seconds) as response:
        raise_for_status(response)
        try:
            yield from _frames(response.raw.read)
        except StreamError as error:  # requests itself reads with its own errors only
            raise RequestException(str(error)) from error


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
    raise_for_status(response)
    return response.content


def raise_for_status(response: Response) -> None:
    """Raise the error of the SDK for a response that refuses."""
    try:
        response.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)  # raises


def _frames(read: Callable[[int], bytes]) -> Iterator[Frame]:
    """Yield the frames of a stream; `read` returns its next bytes."""
    while header := read(_FRAME_HEADER.size):
        stream, size = _FRAME_HEADER.unpack(header)
        yield stream, read(size)
