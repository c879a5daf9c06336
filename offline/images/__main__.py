"""Command: python -m offline.images [name ...]. Makes the images present; seconds when they already are."""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import docker
from docker.errors import DockerException

from offline.images.builder import Builder
from offline.images.catalogue import CATALOGUE, Recipe, select
from offline.images.machine import OfflineError

DOCKER_TIMEOUT_SECONDS = 1800  # a build step may be silent that long on a slow mirror
BUILDS_AT_ONCE = 2  # one waits for the network while the other computes


def main(arguments: list[str] | None = None) -> int:
    """Make the named images (all without names) present on Docker Engine; one line each, 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m offline.images", description=main.__doc__)
    known = ", ".join(recipe.name for recipe in CATALOGUE)
    parser.add_argument("names", nargs="*", metavar="name", help=f"recipe ({known}) or full image name (default: all)")
    try:
        selected = select(parser.parse_args(arguments).names)
        builder = Builder(docker.from_env(timeout=DOCKER_TIMEOUT_SECONDS))
    except OfflineError as error:
        return fail(error)
    except DockerException as error:
        return fail(f"images: Docker Engine does not answer ({error}). Start it, then check with: docker info")

    def ensure(recipe: Recipe) -> int:
        started = time.monotonic()
        try:
            how = builder.ensure(recipe, selected[recipe.name])
        except (OfflineError, DockerException, OSError) as error:
            return fail(error)
        for tag in selected[recipe.name]:
            print(f"{tag:40} {how:7} {time.monotonic() - started:6.1f} s", flush=True)
        return 0

    with ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
        return max(pool.map(ensure, [recipe for recipe in CATALOGUE if recipe.name in selected]), default=0)


def fail(error: object) -> int:
    """Report one failure on standard error; returns the exit code."""
    print(error, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
