"""A container's outputs, from what Docker Engine reports of it."""

from collections.abc import Mapping
from typing import Any

from offline.plugins.docker_provider.container_config import DURATIONS, MEGABYTE, MOUNT, PLAIN, SECOND
from offline.plugins.property_values import Properties


def outputs(inspected: Mapping[str, Any], olds: Properties) -> Properties:
    """Return what the state holds after a container was read.

    Environment, labels, networks and uploads are not read: they stay as they are in the state.
    """
    present = {**olds, **_config(inspected, olds), **_host(inspected["HostConfig"], olds), **_state(inspected, olds)}
    # Computed collections that the program leaves out are empty, not absent: absent ones are still to be computed.
    return present | {name: present.get(name) or [] for name in ("command", "entrypoints", "envs", "labels")}


def duration(nanoseconds: int) -> str:
    """Return whole seconds in the form Go prints a duration: `5s`, `1m0s`, `1h0m0s`."""
    minutes, seconds = divmod(nanoseconds // SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _config(inspected: Mapping[str, Any], olds: Properties) -> Properties:
    config = inspected["Config"]
    by_id = str(olds["image"]).startswith("sha256:")
    present = {ours: config[theirs] for ours, theirs in PLAIN.items() if config.get(theirs)}
    present |= {"name": inspected["Name"].lstrip("/"), "image": inspected["Image"] if by_id else config["Image"]}
    check = config.get("Healthcheck")
    if check:
        durations = {ours: duration(check.get(theirs) or 0) for ours, theirs in DURATIONS.items()}
        tests, retries = check.get("Test") or [], check.get("Retries") or 0
        present["healthcheck"] = {"tests": tests, "retries": retries, "startInterval": "0s", **durations}
    return present


def _host(host: Mapping[str, Any], olds: Properties) -> Properties:
    log, swap_bytes = host.get("LogConfig") or {}, host.get("MemorySwap") or 0
    present: Properties = {
        "init": bool(host.get("Init")),
        "logDriver": log.get("Type") or "",
        "memory": (host.get("Memory") or 0) // MEGABYTE,
        "memorySwap": swap_bytes // MEGABYTE if swap_bytes > 0 else swap_bytes,
        "mounts": [
            {ours: mount[theirs] for ours, theirs in MOUNT.items() if theirs in mount}
            for mount in host.get("Mounts") or []
        ],
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "",
        "securityOpts": host.get("SecurityOpt") or [],
        "shmSize": (host.get("ShmSize") or 0) // MEGABYTE,
        "tmpfs": host.get("Tmpfs") or {},
    }
    if host.get("CapDrop"):
        present["capabilities"] = {"drops": host["CapDrop"]}
    if olds.get("logOpts"):
        present["logOpts"] = log.get("Config") or {}
    return present


def _state(inspected: Mapping[str, Any], olds: Properties) -> Properties:
    settings, running = inspected.get("NetworkSettings") or {}, bool(inspected["State"]["Running"])
    present: Properties = {"networkDatas": [{"networkName": name} for name in sorted(settings.get("Networks") or {})]}
    if olds.get("ports") and (running or olds.get("mustRun", True)):
        # Docker Engine publishes none while it is stopped: then it is replaced.
        present["ports"] = [
            {
                "internal": int(key.partition("/")[0]),
                "external": int(binding["HostPort"]),
                "ip": binding["HostIp"],
                "protocol": "tcp",
            }
            for key, bindings in (settings.get("Ports") or {}).items()
            for binding in bindings or []
        ]
    if not running:
        present["mustRun"] = False  # which differs from the input of a container that must run
    return present
