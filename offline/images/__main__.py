"""Command: python -m offline.images [name ...]. Makes the images present; seconds when they already are."""

import argparse
import sys
import time

import docker
from docker.errors import DockerException

from offline.images.builder import Builder
from offline.images.catalogue import CATALOGUE, select
from offline.images.machine import OfflineError

ENGINE_TIMEOUT_SECONDS = 1800  # a build step may be silent that long on a slow mirror


def main(arguments: list[str] | None = None) -> int:
    """Make the named images (all without names) present on the Docker engine; one line each, 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m offline.images", description=main.__doc__)
    known = ", ".join(recipe.name for recipe in CATALOGUE)
    parser.add_argument("names", nargs="*", metavar="name", help=f"image to make: {known} (default: all)")
    try:
        recipes = select(parser.parse_args(arguments).names)
        builder = Builder(docker.from_env(timeout=ENGINE_TIMEOUT_SECONDS))
    except OfflineError as error:
        return fail(error)
    except DockerException as error:
        return fail(f"images: no Docker engine answers ({error}). Start it, then check with: docker info")
    failed = 0
    for recipe in recipes:
        started = time.monotonic()
        try:
            how = builder.ensure(recipe)
        except (OfflineError, DockerException, OSError) as error:
            failed += fail(error)
            continue
        for tag in recipe.tags:
            print(f"{tag:40} {how:7} {time.monotonic() - started:6.1f} s", flush=True)
    return min(failed, 1)


def fail(error: object) -> int:
    """Report one failure on standard error; returns the exit code."""
    print(error, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
