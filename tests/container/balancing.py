"""A load balancer and stand-in cores: NGINX that says what it was asked."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from docker.models.containers import Container

from components.load_balancer.sizing import MEMORY_MB
from components.templates.rendering import render
from tests.container.parts import FILES, NGINX, Parts, ask, said, until

BOOTED = "/tmp/booted"  # noqa: S108
PAGES = ("starting.html", "starting.json")
# One process, so that a signal stops all of it. `/drop` takes a request and hangs up.
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
    location /missing { return 404 '{"httpStatusCode":404}'; }
  }
}
"""


def load_balancer(bench: Parts, before: str = "", trusted: tuple[str, ...] = (), **options: object) -> Container:
    """A running load balancer with the program's files; `before` is put before the command of its shell."""
    files = {f"{FILES}/nginx.conf": render("load_balancer/nginx.conf.j2", core="core:8080", trusted_proxies=trusted)}
    files |= {f"{FILES}/{name}": render(f"load_balancer/{name}") for name in ("start.sh", "status.conf")}
    files |= {f"{FILES}/pages/{page}": render(f"load_balancer/{page}") for page in PAGES}
    container = bench.start(
        NGINX,
        *(("/bin/sh", "-c", f"{before} {FILES}/start.sh") if before else ("/bin/sh", f"{FILES}/start.sh")),
        files=files,
        alias="lb",
        user="101:101",
        mem_limit=f"{MEMORY_MB}m",
        tmpfs={"/tmp": "size=64m"},  # noqa: S108
        stop_signal="SIGQUIT",
        **options,
    )
    until(lambda: ask(bench.address(container), "/lb/health")[0] == 200, "the load balancer is up")
    return container


def core(bench: Parts, *, drops: bool = False, boots: bool = False) -> Container:
    """A running stand-in for a core; `drops`: it hangs up on `/drop`. `boots`: it listens after `booted`."""
    text = CORE.replace("DROP", "444" if drops else "200 kept")
    command = f"{f'until [ -f {BOOTED} ]; do sleep 0.02; done; ' if boots else ''}exec nginx -c /core.conf"
    return bench.start(NGINX, "sh", "-c", command, files={"/core.conf": text}, alias="core", user="101:101", init=False)


def booted(container: Container) -> None:
    """Let a core that boots listen from now on."""
    said(container, f"touch {BOOTED}")


def served_by(address: str, container: Container, seconds: float = 30) -> bool:
    """Was a request through the load balancer answered by this core?"""
    status, _, text = ask(address, "/api/ping", seconds=seconds)
    return status == 200 and f'"core":"{str(container.id)[:12]}"' in text


@dataclass
class Load:
    """What clients that ask without pause got: how often each method and status, and when it was no 200."""

    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def failed(self, method: str) -> int:
        """How many requests of a method were not answered with 200."""
        return sum(count for (asked, status), count in self.seen.items() if asked == method and status != 200)

    def answered(self) -> int:
        """How many requests were answered with 200."""
        return sum(count for (_, status), count in self.seen.items() if status == 200)


@contextmanager
def load(address: str, clients: int = 8) -> Iterator[Load]:
    """Clients that send GET and POST in turn until the block ends."""
    found, end, lock = Load(), threading.Event(), threading.Lock()

    def client(first: int) -> None:
        number = first
        while not end.is_set():
            number += 1
            method = "POST" if number % 2 else "GET"
            status = ask(address, "/api/ping", method, b"x" if method == "POST" else None)[0]
            with lock:
                found.seen[method, status] += 1
            end.wait(0.005)

    threads = [threading.Thread(target=client, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        end.set()
        for thread in threads:
            thread.join()
