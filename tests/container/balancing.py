"""A load balancer and fake cores: NGINX that responds with what it was asked."""

from typing import Any

from docker.models.containers import Container

from components.load_balancer.load_balancer import ENDPOINT, PAGES, SELF_SIGNED, UID, Https, nginx_conf
from components.load_balancer.sizing import memory_mb
from components.orchestrator.container_paths import FILES
from components.templates.rendering import render
from tests.support.commands import shell_output
from tests.support.containers import Containers
from tests.support.http import PORT, ask
from tests.support.load import Load
from tests.support.project import NGINX
from tests.support.waiting import until

BOOTED = "/tmp/booted"  # noqa: S108
# One process, so that a signal stops all of it. `/drop` takes a request and closes the connection.
CORE = """
daemon off; master_process off; pid /tmp/nginx.pid; error_log /dev/stderr;
events {} http {
  types { application/json json; image/png png; }
  access_log /dev/stdout; client_max_body_size 0; proxy_temp_path /tmp/proxy; client_body_temp_path /tmp/body;
  fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server {
    listen 8080; large_client_header_buffers 4 64k;
    location / { return 200 '{"core":"$hostname","uri":"$request_uri","host":"$http_host","size":"$content_length",\
"for":"$http_x_forwarded_for","proto":"$http_x_forwarded_proto","port":"$http_x_forwarded_port",\
"name":"$http_x_forwarded_host","upgrade":"$http_upgrade $http_connection"}'; }
    location /drop { return DROP; }
    location /api/systemSettings/refused { return 403; }
    # It sends the body back, as a header that it adds to a request to itself.
    location /echo/ {
      proxy_pass http://127.0.0.1:8081; proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_set_header X-Body $request_body;
    }
    # As CspFilter of DHIS2: what an upload may run, and who may embed DHIS2, are two headers.
    location /embedded {
      add_header Content-Security-Policy "script-src 'none';";
      add_header Content-Security-Policy "frame-ancestors 'self' https://portal.example.org;"; return 200;
    }
    location /same-origin { add_header X-Frame-Options SAMEORIGIN; return 200; }
    # As Spring Security, where a request came over https.
    location /hsts { add_header Strict-Transport-Security "max-age=31536000 ; includeSubDomains"; return 200; }
    location /permissions { add_header Permissions-Policy "usb=()"; return 200; }
    location /missing { return 404 '{"httpStatusCode":404}'; }
  }
  server { listen 127.0.0.1:8081; location / { return 200 $http_x_body; } }
}
"""


def load_balancer(
    containers: Containers,
    before: str = "",
    url: str = "http://127.0.0.1:8080",
    trusted: tuple[str, ...] = (),
    *,
    https: Https | None = None,
    self_signed: str = "",
    **options: Any,  # noqa: ANN401
) -> Container:
    """Start a load balancer with the program's files.

    `before` is put before the command of its shell, `url` is where users reach it, `trusted` is trustedProxies. With
    `https` it has the PEM text of a self-signed certificate.
    """
    files = {f"{FILES}/nginx.conf": nginx_conf("core:8080", url, trusted, https=https)}
    files |= {f"{FILES}/{name}": render(f"load_balancer/{name}") for name in ("start.sh", "status.conf")}
    files |= {f"{FILES}/pages/{page}": render(f"load_balancer/{page}") for page in PAGES}
    if https:
        files |= {f"{FILES}/start-tls.sh": render("load_balancer/start-tls.sh"), SELF_SIGNED: self_signed}
    start = f"{FILES}/start-tls.sh" if https else f"{FILES}/start.sh"
    on_volume = [https.certificate] if https and https.replaced else []
    container = containers.start(
        NGINX,
        files=files,
        alias=ENDPOINT.host,
        entrypoint=["/bin/sh", "-c", f"{before} {start}"] if before else ["/bin/sh", start, *on_volume],
        user=f"{UID}:{UID}",
        mem_limit=f"{memory_mb(https=https is not None)}m",
        tmpfs={} if on_volume else {"/tmp": "size=64m"},  # noqa: S108
        stop_signal="SIGQUIT",
        **options,
    )
    until(
        lambda: ask(containers.address(container), "/lb/health").status == 200,
        "the load balancer to be healthy",
        container=container,
    )
    return container


def core(containers: Containers, *, drops: bool = False, boots: bool = False, alias: str = "core") -> Container:
    """Start a fake core; `drops`: it closes the connection on `/drop`; `boots`: it listens after `booted`."""
    text = CORE.replace("DROP", "444" if drops else "200 kept")
    command = f"{f'until [ -f {BOOTED} ]; do sleep 0.02; done; ' if boots else ''}exec nginx -c /core.conf"
    files = {"/core.conf": text}
    return containers.start(NGINX, "sh", "-c", command, files=files, alias=alias, user=f"{UID}:{UID}", init=False)


def booted(container: Container) -> None:
    """Let a core that boots listen from now on."""
    shell_output(container, f"touch {BOOTED}")


def served_by(address: str, container: Container, seconds: float = 30) -> bool:
    """Return whether a request through the load balancer was answered by this core."""
    status, _, text = ask(address, "/api/ping", seconds=seconds)
    return status == 200 and f'"core":"{str(container.id)[:12]}"' in text


def load(address: str, clients: int = 8) -> Load:
    """Return clients that send GET and POST in turn to a load balancer while the context is open."""
    return Load(f"http://{address}:{PORT}", choose=_pings, clients=clients, pause_seconds=0.005)


def _pings(_: int, number: int) -> tuple[str, str]:
    return "POST" if number % 2 else "GET", "/api/ping"
