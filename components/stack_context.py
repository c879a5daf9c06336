"""What travels through the components as one value: the stack's context with its networks and images."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import pulumi

from components.database_roles import DatabaseRoles
from components.naming import Naming
from components.orchestrator.container_paths import SECRETS
from components.orchestrator.gates import Gates
from components.orchestrator.interface import Image, Orchestrator, Service
from components.orchestrator.watcher import Watcher
from components.settings.model import Settings


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Ids of the stack's networks: `edge` (published ports, downloads), `app` (cores), `data` (internal)."""

    edge: pulumi.Output[str]
    app: pulumi.Output[str]
    data: pulumi.Output[str]


class Images(NamedTuple):
    """The images of a stack, by what runs from them."""

    core: Image
    database: Image
    cache: Image
    load_balancer: Image


@dataclass(frozen=True, kw_only=True)
class StackContext:
    """What every part takes: how the stack's objects are named, what holds them back, and what they are made from.

    `roles` is there where the databases are on several nodes and may change their roles.
    """

    naming: Naming
    orchestrator: Orchestrator
    gates: Gates
    settings: Settings
    networks: Networks
    images: Images
    roles: DatabaseRoles | None = None

    @property
    def after_promotions(self) -> dict[str, str]:
        """Keepers of what is replaced when a replica is promoted, so that nothing of before works on."""
        return {"promotions": str(self.roles.promotions)} if self.roles and self.roles.promotions else {}


@dataclass(frozen=True)
class CertificateVolume:
    """The volume from which the load balancer reads its certificate, in one file with the key, and HTTP-01 challenges.

    All files in it belong to `uid`. On a swarm the client has one, and each node with a load balancer another one.
    """

    name: pulumi.Output[str]
    uid: ClassVar[int] = 101
    folder: ClassVar[str] = "/certificates"
    certificate: ClassVar[str] = f"{folder}/current.pem"
    challenges: ClassVar[str] = f"{folder}/challenges"


class AcmeWebServer:
    """Where load balancers reach the ACME client's web server, which a stack on a swarm has.

    It takes those that have its own `pair`, PEM text of a key and its certificate.
    """

    host: ClassVar[str] = "acme-web"
    challenges: ClassVar[str] = f"{host}:8080"
    certificate: ClassVar[str] = f"https://{host}:8443/current.pem"
    pair: ClassVar[str] = f"{SECRETS}/acme-web.pem"


class Part(Protocol):
    """A component that runs containers."""

    services: list[Service]

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when the part is ready, in every `up`. Raises NotReady."""
