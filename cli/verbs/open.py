"""`dhis2-cluster open`: DHIS2 in the browser."""

import ipaddress
import webbrowser
from urllib.parse import urlsplit

from cli.options import StackOption
from cli.stacks import open_stack
from cli.target import find


def open_browser(stack: StackOption = "") -> None:
    """Open DHIS2 in the browser, and print its address."""
    target = find(stack)
    url, host = open_stack(target).url, urlsplit(target.docker_host or "")
    print(url)
    if host.scheme == "ssh" and _is_loopback(urlsplit(url).hostname or ""):
        settings = target.settings
        published = settings.https_port if settings.https else settings.port
        port = urlsplit(url).port or (443 if settings.https else 80)
        print(
            f"This is an address of {host.hostname}. Forward it while you use it: ssh -L {port}:{settings.bind}:{published} {host.netloc}"
        )
    elif not webbrowser.open(url):
        print("this machine has no browser; open the address in one")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
