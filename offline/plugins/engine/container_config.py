"""A container's inputs in the words of the engine's API."""

import zlib
from decimal import Decimal, InvalidOperation
from typing import Any

from offline.plugins import durations
from offline.plugins.engine.networks import label_map
from offline.plugins.resources import PluginError
from offline.plugins.wire import Properties

MEGABYTE = 1024 * 1024
START_INTERVAL_API = (1, 44)
CGROUP_NAMESPACE_API = (1, 41)
SUBPATH_API = (1, 45)
# Inputs the engine takes as they are: ours, theirs.
PLAIN = {
    "hostname": "Hostname",
    "domainname": "Domainname",
    "tty": "Tty",
    "stdinOpen": "OpenStdin",
    "stopSignal": "StopSignal",
    "stopTimeout": "StopTimeout",
    "command": "Cmd",
    "entrypoints": "Entrypoint",
    "user": "User",
    "workingDir": "WorkingDir",
}
HOST_PLAIN = {
    "privileged": "Privileged",
    "publishAllPorts": "PublishAllPorts",
    "runtime": "Runtime",
    "rm": "AutoRemove",
    "readOnly": "ReadonlyRootfs",
    "tmpfs": "Tmpfs",
    "cpuShares": "CpuShares",
    "cpuSet": "CpusetCpus",
    "networkMode": "NetworkMode",
    "usernsMode": "UsernsMode",
    "pidMode": "PidMode",
    "ipcMode": "IpcMode",
    "sysctls": "Sysctls",
    "storageOpts": "StorageOpt",
    "cgroupParent": "CgroupParent",
    "cgroupnsMode": "CgroupnsMode",
}
HOST_SETS = {"dns": "Dns", "dnsOpts": "DnsOptions", "dnsSearches": "DnsSearch", "groupAdds": "GroupAdd"}
THROTTLES = {
    "deviceReadBps": "BlkioDeviceReadBps",
    "deviceReadIops": "BlkioDeviceReadIOps",
    "deviceWriteBps": "BlkioDeviceWriteBps",
    "deviceWriteIops": "BlkioDeviceWriteIOps",
}
UNCONFINED = "systempaths=unconfined"


def config(inputs: Properties, api: tuple[int, ...]) -> dict[str, Any]:
    """Return the body of the request that creates a container; PluginError for what the engine cannot be asked."""
    if "" in (inputs.get("command") or []):
        raise PluginError("values for command may not be empty")
    body = {theirs: inputs[ours] for ours, theirs in PLAIN.items() if inputs.get(ours)}
    body |= {
        "Image": inputs["image"],
        "Env": in_set_order(inputs.get("envs")),
        "Labels": label_map(inputs.get("labels")),
        "ExposedPorts": {_port_key(port): {} for port in inputs.get("ports") or []},
        "Volumes": {each["containerPath"]: {} for each in inputs.get("volumes") or [] if _anonymous(each)},
        "HostConfig": _host_config(inputs, api),
        "NetworkingConfig": {},
    }
    if inputs.get("healthcheck") is not None:
        body["Healthcheck"] = healthcheck(inputs["healthcheck"], api)
    return body


def healthcheck(given: Properties, api: tuple[int, ...]) -> dict[str, Any]:
    """Return a health check, durations in nanoseconds."""
    nanoseconds = {
        theirs: durations.parse(given.get(ours) or "0s")
        for ours, theirs in (
            ("interval", "Interval"),
            ("timeout", "Timeout"),
            ("startPeriod", "StartPeriod"),
            ("startInterval", "StartInterval"),
        )
    }
    if nanoseconds["StartInterval"] and api < START_INTERVAL_API:
        have = ".".join(map(str, api))
        raise PluginError(
            'Unable to create container: "specify health-check start interval" requires API version 1.44,'
            f" but the Docker daemon API version is {have}"
        )
    set_ones = {name: value for name, value in nanoseconds.items() if value}
    return {"Test": given.get("tests") or [], "Retries": given.get("retries") or 0, **set_ones}


def update_config(inputs: Properties) -> dict[str, Any]:
    """Return the body of the request that changes a running container: all that can be changed, changed or not."""
    body = {
        "CpuShares": inputs.get("cpuShares") or 0,
        "Memory": (inputs.get("memory") or 0) * MEGABYTE,
        "MemoryReservation": (inputs.get("memoryReservation") or 0) * MEGABYTE,
        "CpusetCpus": inputs.get("cpuSet") or "",
        "RestartPolicy": _restart_policy(inputs),
        **_throttles(inputs),
    }
    if inputs.get("memorySwap"):
        body["MemorySwap"] = _swap(inputs["memorySwap"])
    return body


def in_set_order(values: list[str] | None) -> list[str]:
    """Return a set's texts in the order the real plugin goes through them: that of their hashes, not as written."""
    return sorted(set(values or []), key=lambda value: str(zlib.crc32(value.encode())))


def capability_names(values: list[str] | None) -> list[str]:
    """Return capabilities as Docker's own client sends them: `chown` as `CAP_CHOWN`, `all` as `ALL`.

    That is how they are read back, so a program that writes them otherwise sees a change after each refresh.
    """
    upper = {value.upper() for value in values or []}
    return sorted(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in upper)


def nano_cpus(text: str) -> int:
    """Return a number of CPUs in billionths."""
    try:
        number = Decimal(text) * 10**9
    except InvalidOperation as error:
        raise PluginError(f"Error setting cpus: failed to parse {text} as a rational number") from error
    if number != int(number):
        raise PluginError("Error setting cpus: value is too precise")
    return int(number)


def _host_config(inputs: Properties, api: tuple[int, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {theirs: inputs[ours] for ours, theirs in HOST_PLAIN.items() if inputs.get(ours)}
    if api < CGROUP_NAMESPACE_API:
        body.pop("CgroupnsMode", None)
    body |= {theirs: in_set_order(inputs[ours]) for ours, theirs in HOST_SETS.items() if inputs.get(ours)}
    capabilities = inputs.get("capabilities") or {}
    security = in_set_order(inputs.get("securityOpts"))
    body |= {
        "RestartPolicy": _restart_policy(inputs),
        "LogConfig": {"Type": inputs.get("logDriver") or "", "Config": inputs.get("logOpts") or {}},
        "Mounts": [_mount(each, api) for each in inputs.get("mounts") or []],
        "Binds": [_bind(each) for each in inputs.get("volumes") or [] if _bound(each)],
        "VolumesFrom": [each["fromContainer"] for each in inputs.get("volumes") or [] if each.get("fromContainer")],
        "PortBindings": _port_bindings(inputs.get("ports") or []),
        "ExtraHosts": [f"{each['host']}:{each['ip']}" for each in inputs.get("hosts") or []],
        "CapAdd": capability_names(capabilities.get("adds")),
        "CapDrop": capability_names(capabilities.get("drops")),
        "SecurityOpt": [each for each in security if each != UNCONFINED],
        "Ulimits": [
            {"Name": each["name"], "Soft": each["soft"], "Hard": each["hard"]} for each in inputs.get("ulimits") or []
        ],
        "Devices": [_device(each) for each in inputs.get("devices") or []],
        "Memory": (inputs.get("memory") or 0) * MEGABYTE,
        "MemoryReservation": (inputs.get("memoryReservation") or 0) * MEGABYTE,
        "MemorySwap": _swap(inputs.get("memorySwap") or 0),
        "ShmSize": (inputs.get("shmSize") or 0) * MEGABYTE,
        "Init": bool(inputs.get("init")),
        **_throttles(inputs),
    }
    if UNCONFINED in security:
        body |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if inputs.get("cpus"):
        body["NanoCpus"] = nano_cpus(inputs["cpus"])
    else:
        body |= {"CpuPeriod": inputs.get("cpuPeriod") or 0, "CpuQuota": inputs.get("cpuQuota") or 0}
    return body


def _restart_policy(inputs: Properties) -> dict[str, Any]:
    return {"Name": inputs.get("restart") or "no", "MaximumRetryCount": inputs.get("maxRetryCount") or 0}


def _swap(megabytes: int) -> int:
    return megabytes * MEGABYTE if megabytes > 0 else megabytes  # -1: no limit


def _throttles(inputs: Properties) -> dict[str, Any]:
    return {
        theirs: [{"Path": each["path"], "Rate": each["rate"]} for each in inputs[ours]]
        for ours, theirs in THROTTLES.items()
        if inputs.get(ours)
    }


def _port_key(port: Properties) -> str:
    return f"{port['internal']}/{port.get('protocol') or 'tcp'}"


def _port_bindings(ports: list[Properties]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        host_port = str(port["external"]) if port.get("external") else ""
        bindings.setdefault(_port_key(port), []).append(
            {"HostIp": port.get("ip") or "0.0.0.0", "HostPort": host_port}  # noqa: S104 - the plugin's own default
        )
    return bindings


def _anonymous(volume: Properties) -> bool:
    return bool(volume.get("containerPath")) and not _bound(volume) and not volume.get("fromContainer")


def _bound(volume: Properties) -> bool:
    return bool(volume.get("hostPath") or volume.get("volumeName"))


def _bind(volume: Properties) -> str:
    modes = ["ro" if volume.get("readOnly") else "rw"]
    modes += [volume["selinuxRelabel"]] if volume.get("selinuxRelabel") else []
    return f"{volume.get('volumeName') or volume['hostPath']}:{volume['containerPath']}:{','.join(modes)}"


def _device(device: Properties) -> dict[str, str]:
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": device.get("permissions") or "rwm",
    }


def _mount(mount: Properties, api: tuple[int, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Type": mount["type"],
        "Target": mount["target"],
        "Source": mount.get("source") or "",
        "ReadOnly": bool(mount.get("readOnly")),
    }
    options = mount.get(f"{mount['type']}Options")
    if options is None:
        return body
    if mount["type"] == "bind":
        body["BindOptions"] = {"Propagation": options.get("propagation") or ""}
    elif mount["type"] == "tmpfs":
        body["TmpfsOptions"] = {"SizeBytes": options.get("sizeBytes") or 0, "Mode": options.get("mode") or 0}
    elif api < SUBPATH_API:
        raise PluginError("Setting VolumeOptions.Subpath requires docker version 1.45 or higher")
    else:
        driver = {"Name": options.get("driverName") or "", "Options": options.get("driverOptions") or {}}
        body["VolumeOptions"] = {
            "NoCopy": bool(options.get("noCopy")),
            "Labels": label_map(options.get("labels")),
            "DriverConfig": driver,
            "Subpath": options.get("subpath") or "",
        }
    return body
