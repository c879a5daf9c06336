"""AcmeWeb: NGINX beside the ACME client of a stack on a swarm.

A volume is on one node, load balancers are on several, and a CA may come to any of them.
"""

import pulumi

from components.orchestrator.container_paths import FILES
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment
from components.orchestrator.interface import Endpoint, Service
from components.stack_context import AcmeWebServer, CertificateVolume, StackContext
from components.templates.rendering import render
from components.tls.sizing import WEB_MEMORY_MB

ENDPOINT = Endpoint(AcmeWebServer.host, 8080)
CONF = f"{FILES}/acme-web.conf"


class AcmeWeb(pulumi.ComponentResource):
    """Answers the challenges that are on the client's volume, and gives its certificate to the load balancers."""

    service: Service

    def __init__(
        self,
        name: str,
        context: StackContext,
        volume: CertificateVolume,
        pair: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the service; `pair` is the key and certificate that both sides have."""
        super().__init__("dhis2-cluster:index:AcmeWeb", name, None, opts)
        spec = ContainerSpec(
            name=context.naming.of(ENDPOINT.host),
            image=context.images.load_balancer.id,
            uid=volume.uid,
            memory_mb=WEB_MEMORY_MB,
            hostname=ENDPOINT.host,
            labels=context.naming.labels(ENDPOINT.host),
            networks=(NetworkAttachment(network=context.networks.edge, aliases=(ENDPOINT.host,)),),
            entrypoint=("nginx", "-c", CONF),
            files=(
                File(path=CONF, content=render("tls/acme-web.conf")),
                File(path=AcmeWebServer.pair, content=pair, secret=True),
            ),
            # The client gives an empty volume its mode.
            mounts=(Mount(volume=volume.name, path=volume.folder, read_only=True, no_copy=True),),
            tmpfs={"/tmp": 16},  # noqa: S108
            healthcheck=("curl", "--fail", "--silent", "--max-time", "5", f"http://127.0.0.1:{ENDPOINT.port}/health"),
            start_period_seconds=30,
            stop_signal="SIGQUIT",
        )
        options = pulumi.ResourceOptions(parent=self)
        display_name = "the web server of the ACME client"
        self.service = context.orchestrator.service(ENDPOINT.host, spec, display_name, ENDPOINT, options)
        self.register_outputs({"container": spec.name})
