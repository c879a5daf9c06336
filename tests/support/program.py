"""Run the whole program against mocks and record what it registers."""

import asyncio
import gc
import io
import runpy
import tarfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from docker.errors import APIError, NotFound
from google.protobuf import json_format
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto.source_pb2 import StackTrace

from components import deployment
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.swarm.nodes import SwarmInfo
from components.orchestrator.watcher import NotReady, WaitTarget
from components.settings.model import is_secret, setting_fields
from components.settings.parsing import parse_settings
from components.tls.pem import self_signed
from tests.support.archive import packed
from tests.support.fake_exec import FakeExec

ROOT = Path(__file__).parents[2]
PROJECT, STACK = "dhis2-cluster", "test"
PREFIX = f"{PROJECT}-{STACK}"
CONTAINER, VOLUME, NETWORK = (
    "docker:index/container:Container",
    "docker:index/volume:Volume",
    "docker:index/network:Network",
)
IMAGE, RANDOM_ID = "docker:index/remoteImage:RemoteImage", "random:index/randomId:RandomId"
SECRET_MARK = "4dabf18193072939515e22adb298388d"  # noqa: S105 - Pulumi's signature of a secret property value
GENERATED = "generated-for-"
CURRENT = ("lb", "/certificates/current.pem")
# A private key may also be a file's path, which is no secret.
SECRET_SETTINGS = [
    key for key, field in setting_fields().items() if is_secret(field) or key in ("tlsKey", "backupSshKey")
]


@dataclass(frozen=True)
class Registered:
    """One registration: inputs as the Pulumi engine gets them, secrets still wrapped, and the whole request."""

    kind: str
    name: str
    raw: Mapping[str, Any]
    request: Any

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs with secrets unwrapped."""
        inputs = plain(dict(self.raw))
        assert isinstance(inputs, dict)
        return inputs

    @property
    def labels(self) -> dict[str, str]:
        return {entry["label"]: entry["value"] for entry in self.inputs.get("labels", [])}

    @property
    def environment(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.inputs.get("envs", []))

    @property
    def files(self) -> dict[str, str]:
        return {upload["file"]: upload["content"] for upload in self.inputs.get("uploads", [])}

    @property
    def needs(self) -> set[str]:
        """Logical names of the resources it depends on."""
        return {urn.rsplit("::", 1)[-1] for urn in self.request.dependencies}


@dataclass
class FakeShortLived:
    """A short-lived container: its options, its files, and what it ends with."""

    options: dict[str, Any]
    code: int
    output: str
    files: dict[str, str] = field(default_factory=dict)
    removed: bool = False

    def put_archive(self, path: str, packed: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for entry in archive.getmembers():
                content = archive.extractfile(entry)
                assert entry.mode == 0o400 and content
                self.files[f"{path}{entry.name}"] = content.read().decode()

    def start(self) -> None:
        if self.code < 0:
            raise APIError("not started", explanation=self.output)

    def wait(self, timeout: int | None) -> dict[str, int]:
        return {"StatusCode": self.code}

    def logs(self) -> bytes:
        return self.output.encode()

    def remove(self, force: bool) -> None:
        self.removed = force


@dataclass
class FakeEngine(FakeExec):
    """A Docker Engine whose containers run since `started_at`, and print `printed` for every command.

    The cache prints `printed_by_cache`, the client of a CA `printed_by_certificates`. `answers` are the exit codes and
    outputs of the commands of passwords.sh, in turn; `files` has the files of parts.
    """

    printed: str = ""
    printed_by_cache: str = "OK"
    printed_by_certificates: str = ""
    started_at: str = "2026-05-01T12:00:00.123456789Z"
    done: list[str] = field(default_factory=list)
    executed: list[Sequence[str]] = field(default_factory=list)
    files: dict[tuple[str, str], str] = field(default_factory=lambda: {CURRENT: self_signed("seed", "localhost")})
    answers: list[tuple[int, str]] = field(default_factory=list)
    # Which password passwords.sh finds that admin has.
    admin_has: str = ""
    # Exit code and output of analytics.sh; Docker Engine does not answer where the code is negative.
    analytics: tuple[int, str] = (0, "")
    # What api.sh prints for its arguments.
    respond: Callable[[Sequence[str]], str] = lambda _: ""

    # How a short-lived container ends; Docker Engine does not start it where the code is negative.
    short_lived: tuple[int, str] = (0, "")
    created: list[FakeShortLived] = field(default_factory=list)

    _answer: tuple[int, str] = (0, "")

    @property
    def containers(self) -> "FakeEngine":
        return self

    def create(self, image: str, **options: Any) -> FakeShortLived:  # noqa: ANN401 - those of docker's create
        self.created.append(FakeShortLived({"image": image, **options}, *self.short_lived))
        return self.created[-1]

    def inspect_volume(self, name: str) -> dict[str, str]:
        return {"Name": name}

    def remove_container(self, name: str, force: bool) -> None:
        raise NotFound(name)

    @property
    def api(self) -> "FakeEngine":
        return self

    def get_archive(self, name: str, path: str) -> tuple[list[bytes], dict[str, Any]]:
        try:
            return [packed({path.rpartition("/")[2]: self.files[name.removeprefix(f"{PREFIX}-"), path]})], {}
        except KeyError:
            raise NotFound(path) from None

    def inspect_container(self, name: str) -> dict[str, Any]:
        return {"State": {"Status": "running", "StartedAt": self.started_at}}

    def exec_create(self, name: str, command: Sequence[str]) -> dict[str, str]:
        self.executed.append(command)
        if any(word.endswith("passwords.sh") for word in command):
            self.done.append(command[2])
            admin = "" if command[2] == "fingerprint" else f"password={self.admin_has}"
            self._answer = self.answers.pop(0) if self.answers else (0, admin)
            return {"Id": "passwords"}
        if any(word.endswith("analytics.sh") for word in command):
            if self.analytics[0] < 0:
                raise NotReady("Docker Engine no longer answers")
            self._answer = self.analytics
            return {"Id": "passwords"}
        if command[:1] == ["sed"]:  # of the certificates that are served
            self._answer = 0, "".join(self.files[CURRENT].partition("-----BEGIN CERTIFICATE")[1:])
            return {"Id": "passwords"}
        if any(word.endswith("api.sh") for word in command):
            self._answer = 0, self.respond(command[2:])
            return {"Id": "passwords"}
        return {"Id": name}

    def output_of(self, name: str) -> bytes:
        if name == "passwords":
            return self._answer[1].encode()
        printed = {f"{PREFIX}-cache": self.printed_by_cache, f"{PREFIX}-certificates": self.printed_by_certificates}
        return printed.get(name, self.printed).encode()

    def exec_inspect(self, name: str) -> dict[str, Any]:
        return {"ExitCode": self._answer[0] if name == "passwords" else 0}

    def put_archive(self, name: str, folder: str, packed: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for entry in archive.getmembers():
                content = archive.extractfile(entry)
                path = f"{folder}/{entry.name.removeprefix('.').removesuffix('.new')}"
                self.files[name.removeprefix(f"{PREFIX}-"), path] = (
                    content.read().decode(errors="replace") if content else ""
                )
                self.done.append(f"put {path} of {entry.uid} with mode {entry.mode:o}")

    def restart(self, name: str, timeout: int) -> None:
        self.done.append(f"restart {name.removeprefix(f'{PREFIX}-')}")

    def stop(self, name: str, timeout: int) -> None:
        self.done.append(f"stop {name.removeprefix(f'{PREFIX}-')} within {timeout} s")

    def start(self, name: str) -> None:
        self.done.append(f"start {name.removeprefix(f'{PREFIX}-')}")


@dataclass
class FakeWatcher(DockerWatcher):
    """Finds everything ready at once, and records what it was called with."""

    docker_host: str | None = None
    timeout_seconds: int = 900
    report: Callable[[str], None] = lambda _: None
    waited: list[str] = field(default_factory=list)
    failing: Callable[[WaitTarget], None] = lambda _: None
    commands: list[Sequence[str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    pulled: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    engine: FakeEngine = field(default_factory=FakeEngine)

    async def until_ready(self, targets: Sequence[WaitTarget]) -> None:
        await asyncio.sleep(0)
        for target in targets:
            self.waited.append(target.container)
            self.failing(target)

    async def until_succeeds(self, target: WaitTarget, command: Sequence[str], failure: str) -> None:
        self.failing(target)
        self.commands.append(command)

    async def until_gone(self, container: str) -> None:
        """As of a SwarmWatcher, for which it stands in as well."""
        self.gone.append(container)

    async def until_pulled(self, container: str, image: str, reference: str, constraints: Sequence[str]) -> None:
        """As of a SwarmWatcher, too."""
        self.pulled.append((container.removeprefix(f"{PREFIX}-"), reference, tuple(constraints)))
        self.failing(WaitTarget(f"image {reference}", reference))

    async def run(self, action: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - of a fake Docker client
        await asyncio.sleep(0)
        return action(self.engine)


@dataclass
class Recorded:
    """What one run registered, exported and logged."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    watcher: FakeWatcher = field(default_factory=FakeWatcher)
    gates: dict[str, Callable[[Any], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    # What `check` and `DockerWatcher` of components/deployment.py were called with.
    called: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        return [resource for resource in self.resources if resource.kind == kind]

    def one(self, kind: str, name: str) -> Registered:
        named = [resource for resource in self.of(kind) if resource.name == name]
        assert len(named) == 1, f"{name}: {[resource.name for resource in self.of(kind)]}"
        return named[0]

    def container(self, name: str) -> Registered:
        return self.one(CONTAINER, name)

    @property
    def containers(self) -> list[Registered]:
        return self.of(CONTAINER)


class _Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = {SECRET_MARK: "1b47061264138c4ac30d75fd1eb44270", "value": f"{GENERATED}{args.name}"}
        if args.typ == RANDOM_ID:
            outputs["hex"] = f"hex-{args.name}"
        if args.typ == IMAGE:
            outputs["imageId"] = f"sha256:{args.name}"
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}: it would need a Docker Engine in every preview")


class _Monitor(MockMonitor):
    def __init__(self, mocks: pulumi.runtime.Mocks, recorded: Recorded) -> None:
        super().__init__(mocks)
        self._recorded = recorded

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401 - gRPC's own name
        inputs = json_format.MessageToDict(request.object)
        self._recorded.resources.append(Registered(request.type, request.name, inputs, request))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _assigned(settings: Mapping[str, object]) -> str:
    """Return which password is assigned to the user admin of a stack."""
    if "adminPassword" in settings:
        return "setting"
    return "generated" if parse_settings(settings).is_open_to_others else "default"


async def _secret_names(outputs: Mapping[str, pulumi.Output[Any]]) -> set[str]:
    return {name for name, output in outputs.items() if await output.is_secret()}


Run = Callable[..., Recorded]


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A value with its secrets unwrapped."""
    if isinstance(value, dict):
        return plain(value["value"]) if SECRET_MARK in value else {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def visible(value: Any) -> str:  # noqa: ANN401 - any JSON
    """The text of everything that is not a secret."""
    if isinstance(value, dict):
        return "" if SECRET_MARK in value else " ".join(f"{key} {visible(item)}" for key, item in value.items())
    return " ".join(visible(item) for item in value) if isinstance(value, list) else str(value)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A function that runs __main__.py with settings and returns what it registered."""
    real_hook = pulumi.ResourceHook

    def run_program(  # noqa: PLR0917 - all are named
        preview: bool = False,
        watcher: FakeWatcher | None = None,
        mtu: int = 1500,
        warnings: tuple[str, ...] = (),  # of preflight
        swarm: SwarmInfo | None = None,
        into: Recorded | None = None,  # what a run that fails has registered
        **settings: object,
    ) -> Recorded:
        recorded = into or Recorded(watcher=watcher or FakeWatcher())
        # Unless the test says otherwise, the database is as the program makes it.
        recorded.watcher.engine.admin_has = recorded.watcher.engine.admin_has or _assigned(settings)

        def check(*arguments: object) -> tuple[SimpleNamespace, object]:
            assert not recorded.resources, "preflight comes before anything is registered"
            recorded.called["check"] = arguments
            return SimpleNamespace(mtu=mtu, warnings=warnings, swarm=swarm), arguments[0]

        def watch(*arguments: object) -> FakeWatcher:
            recorded.called["DockerWatcher"] = arguments
            return recorded.watcher

        def hook(name: str, gate: Callable[[Any], Coroutine[Any, Any, None]]) -> pulumi.ResourceHook:
            recorded.gates[name] = gate
            return real_hook(name, gate)

        monkeypatch.setattr(deployment, "check", check)
        monkeypatch.setattr(deployment, "check_disk", lambda *arguments: recorded.called.update(check_disk=arguments))
        monkeypatch.setattr(deployment, "DockerWatcher", watch)
        monkeypatch.setattr(deployment, "SwarmWatcher", watch)
        monkeypatch.setattr(pulumi, "ResourceHook", hook)
        # Where each resource is in the source takes a quarter of a run, and no test reads it.
        monkeypatch.setattr("pulumi.runtime.resource._get_stack_trace", StackTrace)
        monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: recorded.warnings.append(text))
        monkeypatch.setattr(pulumi, "export", recorded.outputs.__setitem__)
        secret = [f"{PROJECT}:{key}" for key in SECRET_SETTINGS if key in settings]
        config = {f"{PROJECT}:{key}": str(value) for key, value in settings.items()}
        pulumi.runtime.set_all_config(config, secret)
        # The SDK makes one where none is and never closes it; its finalizer then breaks into whatever runs then.
        loop = asyncio.new_event_loop()
        # Where a run fails, all outputs that wait for what failed do. The failure itself is raised.
        loop.set_exception_handler(lambda *_: None)
        asyncio.set_event_loop(loop)
        mocks, exported = _Mocks(), dict[str, pulumi.Output[Any]]()
        pulumi.runtime.set_mocks(
            mocks, project=PROJECT, stack=STACK, preview=preview, monitor=_Monitor(mocks, recorded)
        )

        @pulumi.runtime.test
        def program() -> Any:  # noqa: ANN401 - an Output
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
            exported.update({name: pulumi.Output.from_input(output) for name, output in recorded.outputs.items()})
            return pulumi.Output.all(**recorded.outputs).apply(recorded.outputs.update)

        try:
            program()
        finally:
            loop.close()
        recorded.secret_outputs = asyncio.run(_secret_names(exported))
        return recorded

    yield run_program
    # The program's process would have ended.
    gc.enable()
    gc.unfreeze()
