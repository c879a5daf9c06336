"""What runs the parts of a stack, whatever that is: containers of one Docker Engine, or services of a swarm."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from subprocess import CompletedProcess
from typing import ClassVar, NoReturn, TypeVar

from docker import DockerClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from cli.errors import CommandError
from cli.output import progress
from cli.parts import Inspected, NodeStatus, Part, names_of
from cli.target import Target
from components.orchestrator.client import UNREACHABLE, connect, unreachable
from components.orchestrator.readiness import EngineWatcher
from components.orchestrator.short_lived import ShortLived

REPORTED = (DockerException, RequestException)  # what Docker Engine can report while a verb works
_PARALLEL = 8
Item = TypeVar("Item")
Result = TypeVar("Result")


class DeployedStack(ABC):
    """The parts of one stack, as what runs them reports them. Raises CommandError where that cannot be reached."""

    object_name: ClassVar[str]
    """What a part is to Docker."""
    streams: ClassVar[bool]
    """Whether a command can take what another one prints, of this stack or of another one."""
    question_seconds: ClassVar[float] = 0
    """How often `status` may ask databases and cache what only they know."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @cached_property
    def client(self) -> DockerClient:
        """A client of the stack's Docker Engine, which has answered."""
        host = self.target.docker_host
        try:
            client = connect(host)
            client.ping()  # type: ignore[no-untyped-call]
        except UNREACHABLE as error:
            raise CommandError(unreachable(host, error)) from error
        return client

    @property
    def url(self) -> str:
        """The address people use."""
        return self.target.settings.public_url

    @abstractmethod
    def parts(self) -> list[Part]:
        """Return the parts in the order of the data's way; CommandError when the stack has none."""

    def select(self, words: Sequence[str]) -> list[Part]:
        """Return the parts with these names; `core` and `replica` are all of them, and no word is all parts.

        Raises CommandError with the list of parts when there is none of a name.
        """
        return self.selected(self.parts(), words)

    def selected(self, parts: Sequence[Part], words: Sequence[str]) -> list[Part]:
        """Return those of some parts with these names. Raises CommandError as `select`."""
        for word in words:
            if not any(part.is_one_of([word]) for part in parts):
                raise CommandError(f"stack {self.target.stack} has no part {word}. Parts: {', '.join(names_of(parts))}")
        return [part for part in parts if part.is_one_of(words)]

    def running(self, word: str) -> Part:
        """Return the part of a name, or raise CommandError when there is none or it does not run."""
        part = self.select([word])[0]
        if part.state != "running":
            raise CommandError(
                f"{part.part} is not running ({part.state}). Start it: dhis2-cluster start -s {self.target.stack}"
            )
        return part

    @abstractmethod
    def inspected(self) -> Sequence[Inspected]:
        """Return the parts, on a swarm each of their tasks, with what Docker Engine reports of each."""

    def nodes(self, inspected: Sequence[Inspected]) -> list[NodeStatus]:
        """Return the nodes of a swarm with the parts that run on each."""
        return []

    def map(self, action: Callable[[Item], Result], items: Sequence[Item]) -> list[tuple[Item, Result]]:
        """Return the items with the results of an action, run for several at the same time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(zip(items, pool.map(action, items), strict=True))

    def watcher(self, timeout_seconds: int | None = None) -> EngineWatcher:
        """Return what waits for parts, by default the stack's `readyTimeout`, and prints what they do meanwhile."""
        seconds = timeout_seconds or self.target.settings.ready_timeout_seconds
        return self._watcher(seconds, lambda line: progress(f"  {line}"))

    @abstractmethod
    def _watcher(self, timeout_seconds: int, report: Callable[[str], None]) -> EngineWatcher: ...

    def log_command(self, part: Part) -> str:
        """Return the command that prints the log of a part."""
        return self.watcher().log_command(part.wait_target)

    @abstractmethod
    def execute(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a part; NOT_RUNNING and the reason where it cannot run."""

    @abstractmethod
    def sourced(self, script: str, host: str) -> str:
        """Return the shell code that reads a script of a part at `host`, which connects to 127.0.0.1 in its container.

        It is for a command that `execute` runs.
        """

    @abstractmethod
    def attach(self, part: Part, command: Sequence[str], *, instead: str, reads: bool) -> NoReturn:
        """Become a command in a part: its input, output and exit code are this process's own.

        Of a session `instead` is what to use where none can be opened; of a command it is empty, and it may be one that
        `reads` no input.
        """

    @abstractmethod
    def pipe(self, part: Part, command: Sequence[str], stdin: str) -> CompletedProcess[str]:
        """Run a command in a part with an input, which is on no command line and in no environment."""

    @abstractmethod
    def follow(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a part with its progress on stderr, and return its exit code and its output."""

    @abstractmethod
    def read_file(self, part: Part, path: str) -> str | None:
        """Return the text of a file that was uploaded to a part, running or not; None where there is none."""

    @abstractmethod
    def volume_at(self, part: Part, path: str) -> tuple[str, Mapping[str, str]]:
        """Return the name of the volume that a part has at a path, empty where there is none.

        With it the options of Docker's local driver, where another node needs them.
        """

    @abstractmethod
    def create_volume(self, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Create a volume of Docker's local driver, unless it exists or comes into being where it is mounted."""

    @abstractmethod
    def pull(self, image: str) -> None:
        """Pull an image that is missing, where it is known which Docker Engine needs it."""

    @abstractmethod
    def run_short_lived(self, spec: ShortLived, beside: Part) -> tuple[int, str]:
        """Return exit code and output of a command in a container of its own, where the volumes of a part are."""

    @abstractmethod
    def short_lived_log_command(self, spec: ShortLived) -> str:
        """Return the command that follows what such a command prints."""

    @abstractmethod
    def environment(self, part: Part) -> dict[str, str]:
        """Return the environment variables of a part."""

    @abstractmethod
    def memory_bytes(self, part: Part) -> int | None:
        """Return the memory a part uses; None where that is not known."""

    @abstractmethod
    def image_tag(self, identifier: str) -> str:
        """Return the name of an image, or the beginning of its id where it has none any more."""

    def log_sources(self, words: Sequence[str]) -> list[Part]:
        """Return what has a log of its own of the parts with these names, as `select`."""
        return self.select(words)

    @abstractmethod
    def log(self, source: Part, *, since_seconds: float, tail: int | None, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield a log as pairs of Docker's timestamp, which sorts as text, and line.

        With `follow` it goes on until its container has ended.
        """

    @abstractmethod
    def start(self, part: Part) -> None:
        """Start a part; nothing happens to one that runs."""

    @abstractmethod
    def stop(self, part: Part) -> None:
        """Stop a part within its stop timeout."""

    @abstractmethod
    def restart(self, part: Part) -> None:
        """Restart a part within its stop timeout."""


def stamped_lines(chunks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a log that arrives in pieces, each as a pair of Docker's timestamp and text."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_stamped, lines)
    if rest:
        yield _stamped(rest)


def _stamped(line: bytes) -> tuple[str, str]:
    timestamp, _, text = line.decode(errors="replace").rstrip("\r").partition(" ")
    return timestamp, text
