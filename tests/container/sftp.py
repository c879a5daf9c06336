"""An SFTP server: sshd with a user who keeps repositories, on two ports."""

from collections.abc import Callable
from dataclasses import dataclass

from docker.models.containers import Container
from docker.models.networks import Network

from tests.support.commands import logs, shell_output
from tests.support.containers import Containers
from tests.support.ssh_host import IMAGE, build_image
from tests.support.waiting import until

HOST, PORT, USER = "sftp", 2222, "keeper"
HOME = f"/home/{USER}"
START = f"ssh-keygen -q -A && useradd --create-home {USER} && exec /usr/sbin/sshd -D -e -p 22 -p {PORT}"
KEY = f"""cd /tmp && ssh-keygen -q -t ed25519 -N '' -f key && sed -i 's/^/restrict,command="internal-sftp" /' key.pub &&
install -D -o {USER} key.pub {HOME}/.ssh/authorized_keys && cat key"""
OTHER_KEY = "cd /tmp && ssh-keygen -q -t ed25519 -N '' -f other && cat other"
KEYSCAN = f"ssh-keyscan -p 22 {HOST} 2>/dev/null; ssh-keyscan -p {PORT} {HOST} 2>/dev/null"


@dataclass(frozen=True)
class SftpServer:
    """The container of sshd, the private key of its user and one it does not know, and its host keys."""

    container: Container
    key: str
    other_key: str
    known_hosts: str

    def end_connection(self, repository: str, before: Callable[[], object] | None = None) -> None:
        """Kill the processes of the open connections as soon as data arrive in a repository, `before` first."""
        arriving = f"{repository}/data/*/*-restic-temp-*"
        arrive = f"timeout 120 sh -c 'until ls {arriving} >/dev/null 2>&1; do :; done'"
        end = f"pkill -KILL -u {USER} && rm -f {arriving}"
        if before:
            shell_output(self.container, arrive)
            before()
            shell_output(self.container, end)
        else:
            # In one command: restic stores everything within seconds.
            shell_output(self.container, f"{arrive} && {end}")


def sftp_server(containers: Containers, network: Network) -> SftpServer:
    """Start an SFTP server on a network."""
    build_image(containers)
    # sshd needs its capabilities.
    container = containers.start(
        IMAGE, "sh", "-c", START, alias=HOST, network=network, cap_drop=[], security_opt=[], init=True
    )
    until(lambda: f"port {PORT}" in logs(container), "sshd to listen", container=container)
    return SftpServer(container, *(shell_output(container, command) + "\n" for command in (KEY, OTHER_KEY, KEYSCAN)))
