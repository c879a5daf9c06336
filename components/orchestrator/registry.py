"""What a registry reports of an image."""

from docker import DockerClient


def registry_architectures(client: DockerClient, image: str) -> list[str]:
    """Return the architectures that a registry has an image for; empty where it does not report them.

    Docker Engine is asked (`/distribution/<name>/json`): it goes where a pull would go, with its own proxies, and
    downloads no layer. Raises docker.errors.DockerException or RequestException.
    """
    platforms = client.api.inspect_distribution(image).get("Platforms") or []
    # An attestation is listed as a platform too, an unknown one.
    return sorted({str(platform.get("architecture")) for platform in platforms} - {"unknown"})
