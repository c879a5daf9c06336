"""Asks the engine whether images are here or can be pulled, without pulling them. Imports no Pulumi."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from components.engine.reasons import short

if TYPE_CHECKING:
    import docker


def unavailable(client: "docker.DockerClient", images: Iterable[str]) -> dict[str, str]:
    """The images the engine neither has nor can pull, each with the engine's reason in a few words.

    The engine is asked for each manifest (`/distribution/<name>/json`): it goes where a pull would go, with the
    engine's own proxies, and takes no layer.
    """

    def reason(image: str) -> str:
        try:
            client.images.get(image)
        except ImageNotFound:
            try:
                client.api.inspect_distribution(image)
            except (DockerException, RequestException) as error:
                return short(getattr(error, "explanation", None) or error)
        except (DockerException, RequestException) as error:
            return short(error)
        return ""

    names = list(dict.fromkeys(images))
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return {image: why for image, why in zip(names, pool.map(reason, names), strict=True) if why}
