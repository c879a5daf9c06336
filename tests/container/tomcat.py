"""Tomcat of a DHIS2 image with the program's files and a small web application in DHIS2's place."""

from typing import Any

from docker.models.containers import Container

from components.core.core_pool import SCRIPTS, TOMCAT, TOMCAT_FILES
from components.orchestrator.container_paths import FILES
from components.templates.rendering import render
from tests.support.commands import execute
from tests.support.containers import Containers
from tests.support.project import SIMULATOR

ROOT = f"{TOMCAT}/webapps/ROOT"
# A web application that starts at once: no jar is scanned.
QUICK = "-XX:TieredStopAtLevel=1 -Dtomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar"
ALONE = '<web-app metadata-complete="true"><absolute-ordering/>{}</web-app>'
PING = {f"{ROOT}/WEB-INF/web.xml": ALONE.format(""), f"{ROOT}/api/ping": "pong"}
# The watchdog's own times, shorter: a silent core is ended after about 12 s instead of 40 s.
SHORTER = {"INTERVAL_SECONDS": (5, 1), "PROBE_SECONDS": (5, 2), "REPORT_SECONDS": (60, 4)}


def program_files() -> dict[str, str]:
    """What the program uploads into every core, by path, with shorter times in the scripts."""
    files = {f"{TOMCAT}/{path}": render(f"core/{name}") for name, path in TOMCAT_FILES.items()}
    scripts = {f"{FILES}/{name}": render(f"core/{name}") for name in SCRIPTS}
    for variable, (seconds, fewer) in SHORTER.items():
        (path,) = (path for path, text in scripts.items() if f"\n{variable}={seconds}\n" in text)
        scripts[path] = scripts[path].replace(f"\n{variable}={seconds}\n", f"\n{variable}={fewer}\n")
    return files | scripts


def core(
    containers: Containers, files: dict[str, str], init: bool = True, alias: str = "", **options: object
) -> Container:
    """Start Tomcat with the program's files and a web application; Docker restarts it when it exits."""
    settings: dict[str, Any] = {
        "environment": {"JAVA_OPTS": QUICK},
        "mem_limit": "400m",
        "restart_policy": {"Name": "unless-stopped"},
        "user": "65534:65534",
        "tmpfs": {"/tmp": "size=16m"},  # noqa: S108
    }
    return containers.start(
        SIMULATOR, files={**program_files(), **files}, alias=alias, init=init, **{**settings, **options}
    )


def readiness(container: Container) -> tuple[int, str]:
    """Run the core's healthcheck once; its exit code and its line."""
    return execute(container, "/bin/bash", f"{FILES}/health.sh")


def restarts(container: Container) -> int:
    """How often Docker has restarted a container."""
    container.reload()
    return int(container.attrs["RestartCount"])
