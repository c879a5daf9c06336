"""A container's outputs, from the engine's description of it."""

from collections.abc import Mapping
from typing import Any

from offline.plugins import durations
from offline.plugins.engine.container_config import MEGABYTE, THROTTLES
from offline.plugins.wire import Properties

NANO = 10**9
FLOAT_DIGITS = 9


def outputs(found: Mapping[str, Any], olds: Properties) -> Properties:
    """Return what the state holds after a look at a container.

    Environment, labels, networks given in detail, uploads and volumes are not read back: they stay as they were.
    """
    now = {**olds, **_config(found, olds), **_host(found["HostConfig"], olds), **_state(found, olds)}
    # Lists a program has not given are there and empty: absent ones would count as still to be computed.
    for name in ("command", "entrypoints", "envs", "labels", "securityOpts"):
        now[name] = now.get(name) or []
    return now


def cpus_text(nano: int) -> str:
    """Return billionths of a CPU as the plugin writes them: `1.0`, `1.5`, `0.25`."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{str(rest).zfill(FLOAT_DIGITS).rstrip('0') or '0'}"


def ports(published: Mapping[str, Any] | None) -> list[Properties]:
    """Return the ports a container has now, by number: none while it is stopped."""
    read = []
    for key in sorted(published or {}, key=lambda key: (int(key.split("/")[0]), key)):
        internal, _, protocol = key.partition("/")
        read += [
            {
                "internal": int(internal),
                "external": int(each["HostPort"]),
                "ip": each["HostIp"],
                "protocol": protocol,
            }
            for each in (published or {})[key] or []
        ]
    return read


def networks(settings: Mapping[str, Any]) -> list[Properties]:
    """Return a container's addresses in every network it is in."""
    return [
        {
            "networkName": name,
            "ipAddress": each.get("IPAddress") or "",
            "ipPrefixLength": each.get("IPPrefixLen") or 0,
            "gateway": each.get("Gateway") or "",
            "globalIpv6Address": each.get("GlobalIPv6Address") or "",
            "globalIpv6PrefixLength": each.get("GlobalIPv6PrefixLen") or 0,
            "ipv6Gateway": each.get("IPv6Gateway") or "",
            "macAddress": each.get("MacAddress") or "",
        }
        for name, each in sorted((settings.get("Networks") or {}).items())
    ]


def _state(found: Mapping[str, Any], olds: Properties) -> Properties:
    running = bool(found["State"]["Running"])
    must_run = bool(olds.get("mustRun", True))
    settings = found.get("NetworkSettings") or {}
    now: Properties = {"bridge": settings.get("Bridge") or "", "networkDatas": networks(settings)}
    if olds.get("ports") and (running or must_run):
        now["ports"] = ports(settings.get("Ports"))
    if not running:
        now["exitCode"] = found["State"]["ExitCode"]
        now["mustRun"] = False  # which differs from what the program says, when it says it must run
    return now


def _config(found: Mapping[str, Any], olds: Properties) -> Properties:
    config = found["Config"]
    by_id = str(olds.get("image") or "").startswith("sha256:")
    now: Properties = {
        "name": found["Name"].lstrip("/"),
        "image": found["Image"] if by_id else config["Image"],
        "hostname": config.get("Hostname") or "",
        "domainname": config.get("Domainname") or "",
        "command": config.get("Cmd") or [],
        "entrypoints": config.get("Entrypoint") or [],
        "user": config.get("User") or "",
        "workingDir": config.get("WorkingDir") or "",
        "platform": found.get("Platform") or "",
        "tty": config.get("Tty", False),
        "stdinOpen": config.get("OpenStdin", False),
        "stopSignal": config.get("StopSignal") or "",
        "stopTimeout": config.get("StopTimeout") or 0,
    }
    if config.get("Healthcheck"):
        now["healthcheck"] = _healthcheck(config["Healthcheck"])
    return now


def _healthcheck(check: Mapping[str, Any]) -> Properties:
    names = {
        "interval": "Interval",
        "timeout": "Timeout",
        "startPeriod": "StartPeriod",
        "startInterval": "StartInterval",
    }
    texts = {ours: durations.go_form(check.get(theirs) or 0) for ours, theirs in names.items()}
    return {"tests": check.get("Test") or [], "retries": check.get("Retries") or 0, **texts}


def _host(host: Mapping[str, Any], olds: Properties) -> Properties:
    policy = host.get("RestartPolicy") or {}
    now: Properties = {
        "rm": host.get("AutoRemove", False),
        "readOnly": host.get("ReadonlyRootfs", False),
        "dns": host.get("Dns") or [],
        "dnsOpts": host.get("DnsOptions") or [],
        "dnsSearches": host.get("DnsSearch") or [],
        "securityOpts": host.get("SecurityOpt") or [],
        "publishAllPorts": host.get("PublishAllPorts", False),
        "restart": policy.get("Name") or "",
        "maxRetryCount": policy.get("MaximumRetryCount") or 0,
        "init": bool(host.get("Init")),
        "runtime": host.get("Runtime") or "",
        "mounts": [_mount(each) for each in host.get("Mounts") or []],
        "tmpfs": host.get("Tmpfs") or {},
        "hosts": [_extra_host(each) for each in host.get("ExtraHosts") or []],
        "privileged": host.get("Privileged", False),
        "shmSize": (host.get("ShmSize") or 0) // MEGABYTE,
        "cpuShares": host.get("CpuShares") or 0,
        "cpuSet": host.get("CpusetCpus") or "",
        "logDriver": (host.get("LogConfig") or {}).get("Type") or "",
        "storageOpts": host.get("StorageOpt") or {},
        "networkMode": host.get("NetworkMode") or "",
        "usernsMode": host.get("UsernsMode") or "",
        "sysctls": host.get("Sysctls") or {},
        "ipcMode": host.get("IpcMode") or "",
        "groupAdds": host.get("GroupAdd") or [],
        **{name: (host.get(theirs) or 0) // MEGABYTE for name, theirs in _MEMORY.items()},
        **{name: [_throttle(each) for each in host.get(theirs) or []] for name, theirs in THROTTLES.items()},
    }
    swap = host.get("MemorySwap") or 0
    now["memorySwap"] = swap // MEGABYTE if swap > 0 else swap
    return now | _only_when_there(host, olds)


def _only_when_there(host: Mapping[str, Any], olds: Properties) -> Properties:
    """Return what is read back only if the container has it, or only if the program has given it."""
    now: Properties = {}
    if host.get("CapAdd") or host.get("CapDrop"):
        now["capabilities"] = {"adds": host.get("CapAdd") or [], "drops": host.get("CapDrop") or []}
    if host.get("NanoCpus"):
        now["cpus"] = cpus_text(host["NanoCpus"])
    if olds.get("logOpts"):
        now["logOpts"] = (host.get("LogConfig") or {}).get("Config") or {}
    if olds.get("pidMode"):
        now["pidMode"] = host.get("PidMode") or ""
    if olds.get("ulimits"):
        now["ulimits"] = [
            {"name": each["Name"], "soft": each["Soft"], "hard": each["Hard"]} for each in host.get("Ulimits") or []
        ]
    if olds.get("devices"):
        mapped = {each["hostPath"] for each in olds["devices"] if each.get("containerPath")}
        now["devices"] = [_device(each, mapped) for each in host.get("Devices") or []]
    return now


_MEMORY = {"memory": "Memory", "memoryReservation": "MemoryReservation"}


def _device(device: Mapping[str, str], mapped: set[str]) -> Properties:
    now = {"hostPath": device["PathOnHost"], "permissions": device["CgroupPermissions"]}
    return now | ({"containerPath": device["PathInContainer"]} if device["PathOnHost"] in mapped else {})


def _throttle(device: Mapping[str, Any]) -> Properties:
    return {"path": device["Path"], "rate": device["Rate"]}


def _extra_host(text: str) -> Properties:
    host, _, address = text.partition(":")
    return {"host": host, "ip": address}


def _mount(mount: Mapping[str, Any]) -> Properties:
    now: Properties = {
        "target": mount["Target"],
        "source": mount.get("Source") or "",
        "type": mount["Type"],
        "readOnly": bool(mount.get("ReadOnly")),
    }
    if mount.get("BindOptions") is not None:
        now["bindOptions"] = {"propagation": mount["BindOptions"].get("Propagation") or ""}
    if mount.get("TmpfsOptions") is not None:
        options = mount["TmpfsOptions"]
        now["tmpfsOptions"] = {"sizeBytes": options.get("SizeBytes") or 0, "mode": options.get("Mode") or 0}
    if mount.get("VolumeOptions") is not None:
        options = mount["VolumeOptions"]
        driver = options.get("DriverConfig") or {}
        now["volumeOptions"] = {
            "noCopy": bool(options.get("NoCopy")),
            "driverName": driver.get("Name") or "",
            "driverOptions": driver.get("Options") or {},
            "subpath": options.get("Subpath") or "",
        }
    return now
