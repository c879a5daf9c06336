"""A container's inputs as the bodies of requests to Docker Engine's API."""

import re
import zlib
from typing import Any

from offline.plugins.property_values import Properties

MEGABYTE = 1024 * 1024
SECOND = 10**9  # nanoseconds
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(\d+)s")
DURATIONS = {"interval": "Interval", "timeout": "Timeout", "startPeriod": "StartPeriod"}
MOUNT = {"type": "Type", "source": "Source", "target": "Target", "readOnly": "ReadOnly"}
# Inputs that Docker Engine takes as they are, and the names it has for them.
PLAIN = {
    "command": "Cmd",
    "entrypoints": "Entrypoint",
    "hostname": "Hostname",
    "stopSignal": "StopSignal",
    "stopTimeout": "StopTimeout",
    "user": "User",
}


def create_body(inputs: Properties) -> dict[str, Any]:
    """Return the body of the request that creates a container."""
    body: dict[str, Any] = {theirs: inputs[ours] for ours, theirs in PLAIN.items() if inputs.get(ours)}
    ports = inputs.get("ports") or []
    return body | {
        "Image": inputs["image"],
        # The order of the real plugin, which is that of a hash and not as written.
        "Env": sorted(set(inputs.get("envs") or []), key=lambda env: str(zlib.crc32(env.encode()))),
        "Labels": {label["label"]: label["value"] for label in inputs.get("labels") or []},
        "ExposedPorts": {f"{port['internal']}/tcp": {} for port in ports},
        "Healthcheck": _healthcheck(inputs["healthcheck"]) if inputs.get("healthcheck") else None,
        "HostConfig": {
            **resources(inputs),
            "CapDrop": (inputs.get("capabilities") or {}).get("drops") or [],
            "Init": bool(inputs.get("init")),
            "LogConfig": {"Type": inputs.get("logDriver") or "", "Config": inputs.get("logOpts") or {}},
            "Mounts": [
                {theirs: mount[ours] for ours, theirs in MOUNT.items() if ours in mount}
                | (
                    {"VolumeOptions": {"NoCopy": bool(options.get("noCopy"))}}
                    if (options := mount.get("volumeOptions"))
                    else {}
                )
                for mount in inputs.get("mounts") or []
            ],
            "NetworkMode": inputs["networkMode"],
            "PortBindings": {
                f"{port['internal']}/tcp": [{"HostIp": port["ip"], "HostPort": str(port["external"])}] for port in ports
            },
            "SecurityOpt": inputs.get("securityOpts") or [],
            "ShmSize": (inputs.get("shmSize") or 0) * MEGABYTE,
            "Tmpfs": inputs.get("tmpfs") or {},
        },
        "NetworkingConfig": {},
    }


def resources(inputs: Properties) -> dict[str, Any]:
    """Return what Docker Engine can change of a container in place, also the body of the request that does so."""
    swap_mb = inputs.get("memorySwap") or 0
    return {
        "Memory": (inputs.get("memory") or 0) * MEGABYTE,
        "MemorySwap": swap_mb * MEGABYTE if swap_mb > 0 else swap_mb,  # -1: no limit
        "RestartPolicy": {"Name": inputs.get("restart") or "no", "MaximumRetryCount": 0},
    }


def nanoseconds(duration: str) -> int:
    """Return the nanoseconds of a duration in Go's form, such as `1m0s`."""
    hours, minutes, seconds = DURATION.fullmatch(duration or "0s").groups(default="0")  # type: ignore[union-attr]
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * SECOND


def _healthcheck(healthcheck: Properties) -> dict[str, Any]:
    durations = {theirs: nanoseconds(healthcheck[ours]) for ours, theirs in DURATIONS.items()}
    return {"Test": healthcheck.get("tests") or [], "Retries": healthcheck["retries"], **durations}
