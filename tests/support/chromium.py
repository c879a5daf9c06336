"""Chromium, in a container that reaches this machine's ports."""

import os
from pathlib import Path

import docker

from offline.images.builder import PROXY_VARIABLES, Builder

IMAGE = "dhis2-cluster/test-chromium"
SOURCES = Path(__file__).parent / "browser"
# Chromium ends what it loads when an interface of the machine comes or goes: those of other containers do.
NETWORK_CHANGED, LOADS = "net::ERR_NETWORK_CHANGED", 5
# It trusts the CA, and nothing else that a system has not. Chromium's sandbox needs what containers have not.
OPEN = """set -e
mkdir -p $HOME/.pki/nssdb
printf '%s' "$ROOT" >/tmp/root.pem
certutil -d sql:$HOME/.pki/nssdb -N --empty-password
certutil -d sql:$HOME/.pki/nssdb -A -n test -t C,, -i /tmp/root.pem
timeout 60 chromium-headless-shell --no-sandbox --disable-gpu --timeout=20000 --host-resolver-rules="MAP * 127.0.0.1" --dump-dom "$URL" || true
"""


def page(client: docker.DockerClient, url: str, root: str) -> str:
    """Return the document at an address of this machine and what Chromium logs, which has the error it shows instead.

    It trusts the root certificate of a CA. Every host name is 127.0.0.1.
    """
    builder = Builder(client)
    proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    builder.build_one(IMAGE, SOURCES, {"BASE": builder.ensure_base(), **proxies}, {})
    for _ in range(LOADS):
        output = client.containers.run(
            IMAGE,
            ["/bin/sh", "-c", OPEN],
            environment={"URL": url, "ROOT": root},
            network_mode="host",
            stderr=True,
            remove=True,
            shm_size="256m",
        )
        text = bytes(output).decode()
        if NETWORK_CHANGED not in text:
            break
    return text
