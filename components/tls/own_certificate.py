"""Your own certificate: put on the load balancer's volume, where NGINX reads it in the next handshake."""

from dataclasses import dataclass

import pulumi

from components.orchestrator.interface import Service
from components.orchestrator.watcher import Watcher
from components.settings.model import Settings
from components.stack_context import CertificateVolume


@dataclass(frozen=True, kw_only=True)
class OwnCertificate:
    """The certificate of the settings and the load balancer that serves it. It is in no resource and in no state."""

    settings: Settings
    load_balancer: Service

    async def install(self, watcher: Watcher) -> None:
        """Return when the load balancer serves the certificate of the settings; writes it where it has another one."""
        from components.tls.pem import pair, parse_chain  # noqa: PLC0415 - see components/tls/pem.py

        target, settings = self.load_balancer.wait_target, self.settings
        certificate, key = settings.tls_certificate or "", settings.tls_key or ""
        wanted = pair(certificate, key)
        await watcher.until_ready([target])
        path, uid = CertificateVolume.certificate, CertificateVolume.uid
        if await watcher.read_file(target.container, path) == wanted:
            return
        await watcher.write_file(target.container, path, wanted, uid)
        until = parse_chain(certificate).until
        pulumi.log.info(f"the certificate of {settings.hostname} is installed; it is valid until {until:%Y-%m-%d}")
