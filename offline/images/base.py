"""The base of all images: a minimal Debian made with mmdebstrap, from the mirror this machine's own apt uses."""

import os
import shutil
from pathlib import Path

from offline.images.machine import OfflineError, cache_folder, keep_newest, locked, run, unfinished

SUITE = "trixie"
MIRROR_VARIABLE = "DHIS2_CLUSTER_DEBIAN_MIRROR"
# Part of the content hash: a change here rebuilds every image.
OPTIONS = (
    "--variant=minbase",
    "--include=ca-certificates",
    "--format=tar",
    # Without this answer dpkg starts the server of each package it installs.
    "--customize-hook=printf '#!/bin/sh\\nexit 101\\n' > \"$1/usr/sbin/policy-rc.d\"",
    '--customize-hook=chmod 0755 "$1/usr/sbin/policy-rc.d"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*/LC_MESSAGES/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)


def debian_sources() -> list[str]:
    """Return apt source lines of the suite: the mirror and, where this machine has one, the security archive.

    Taken from the machine's own apt configuration, or from the environment variable DHIS2_CLUSTER_DEBIAN_MIRROR.
    Raises OfflineError when neither names a Debian mirror.
    """
    chosen = os.environ.get(MIRROR_VARIABLE)
    if chosen:
        return [f"deb {chosen} {SUITE} main"]
    archives = known_archives() or known_archives(refresh=True)
    if "Debian" not in archives:
        raise OfflineError(
            f"images: apt on this machine knows no Debian mirror. Name one: export {MIRROR_VARIABLE}=<mirror's URL>"
        )
    mirror = archives["Debian"]
    lines = [f"deb {mirror} {SUITE} main", f"deb {mirror} {SUITE}-updates main"]
    if "Debian-Security" in archives:
        lines.append(f"deb {archives['Debian-Security']} {SUITE}-security main")
    return lines


def known_archives(refresh: bool = False) -> dict[str, str]:
    """Return apt's URLs by archive label (Debian, Debian-Security); `refresh` fetches apt's lists first."""
    hint = "Images are built from Debian packages: run this on a Debian machine."
    if refresh:
        run(["apt-get", "update", "-q"], "images: fetching apt's package lists", f"Run as root: apt-get update. {hint}")
    wanted = "$(CREATED_BY)|$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", wanted], "images: asking apt for its mirror", hint)
    rows = [line.split("|", 3) for line in listed.splitlines()]
    return {label: url for kind, origin, label, url in reversed(rows) if kind == "Packages" and origin == "Debian"}


def proxy_options() -> list[str]:
    """Return mmdebstrap options that hand on the proxies of this machine's apt; the builds on the base use them too."""
    names = ["Acquire::http::Proxy", "Acquire::https::Proxy"]
    listed = run(["apt-config", "dump", "--format", '%F "%v";%n', *names], "images: asking apt for its proxies")
    return [f"--aptopt={line}" for line in listed.splitlines() if '""' not in line]


def base_tarball(digest: str) -> Path:
    """Return the root file system of the base as a tar in the machine cache, bootstrapping it when it is not there."""
    tarball = cache_folder("images") / f"base-{digest}.tar"
    with locked("image-base"):
        if not tarball.exists():
            require_mmdebstrap()
            with unfinished(tarball) as part:
                run(
                    ["mmdebstrap", *OPTIONS, *proxy_options(), SUITE, str(part), *debian_sources()],
                    f"images: bootstrapping Debian {SUITE}",
                    "mmdebstrap works best as root, with a Debian mirror in reach: try again with sudo.",
                )
            keep_newest(tarball.parent, "base-*.tar")
    return tarball


def require_mmdebstrap() -> None:
    """Install mmdebstrap when it is missing; only root can."""
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() != 0:
        fix = "sudo apt-get install -y mmdebstrap"
        raise OfflineError(f"images: mmdebstrap is missing and only root can install it. Run: {fix}")
    run(["apt-get", "update", "-q"], "images: fetching apt's package lists")
    run(
        ["apt-get", "install", "-yq", "--no-install-recommends", "mmdebstrap"],
        "images: installing mmdebstrap",
        "Run: apt-get install -y mmdebstrap",
    )
