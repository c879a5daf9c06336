"""Tomcat of a DHIS2 image with the program's files and a small web application in DHIS2's place."""

from docker.models.containers import Container

from components.templates.rendering import render
from tests.container.parts import FILES, SIMULATOR, Parts

TOMCAT = "/usr/local/tomcat"
ROOT = f"{TOMCAT}/webapps/ROOT"
# A web application that starts at once: nothing of the image's own is looked through.
QUICK = "-XX:TieredStopAtLevel=1 -Dtomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar"
ALONE = '<web-app metadata-complete="true"><absolute-ordering/>{}</web-app>'
PING = {f"{ROOT}/WEB-INF/web.xml": ALONE.format(""), f"{ROOT}/api/ping": "pong"}


def core(bench: Parts, files: dict[str, str], init: bool = True, alias: str = "", **environment: str) -> Container:
    """Tomcat of a DHIS2 image with our files and another web application."""
    ours = {
        f"{TOMCAT}/conf/server.xml": render("core/server.xml"),
        f"{TOMCAT}/conf/logging.properties": render("core/logging.properties"),
        f"{FILES}/health.sh": render("core/health.sh"),
    }
    return bench.start(
        SIMULATOR,
        "catalina.sh",
        "run",
        files={**ours, **files},
        alias=alias,
        user="65534:65534",
        mem_limit="400m",
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
        environment={"JAVA_OPTS": QUICK, **environment},
        init=init,
    )
