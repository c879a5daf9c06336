"""Tomcat of a DHIS2 image with the program's files and a small web application in DHIS2's place."""

from docker.models.containers import Container

from components.core.core_pool import TOMCAT, UID
from components.orchestrator.container_spec import FILES
from components.templates.rendering import render
from tests.support.containers import Containers
from tests.support.project import SIMULATOR

ROOT = f"{TOMCAT}/webapps/ROOT"
# The web application starts at once: no jar of the image is scanned.
QUICK = "-XX:TieredStopAtLevel=1 -Dtomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar"
ALONE = '<web-app metadata-complete="true"><absolute-ordering/>{}</web-app>'
PING = {f"{ROOT}/WEB-INF/web.xml": ALONE.format(""), f"{ROOT}/api/ping": "pong"}


def core(
    containers: Containers, files: dict[str, str], init: bool = True, alias: str = "", **environment: str
) -> Container:
    """Start Tomcat of a DHIS2 image with the program's files and another web application."""
    program = {
        f"{TOMCAT}/conf/server.xml": render("core/server.xml"),
        f"{TOMCAT}/conf/logging.properties": render("core/logging.properties"),
        f"{FILES}/health.sh": render("core/health.sh"),
    }
    return containers.start(
        SIMULATOR,
        "catalina.sh",
        "run",
        files={**program, **files},
        alias=alias,
        user=f"{UID}:{UID}",
        mem_limit="400m",
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
        environment={"JAVA_OPTS": QUICK, **environment},
        init=init,
    )
