"""A service's inputs as the body of the requests that create and update it."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from offline.plugins.docker_provider.image_names import tagged
from offline.plugins.docker_provider.networks import label_map
from offline.plugins.formats import nanoseconds
from offline.plugins.property_values import Properties
from offline.plugins.resource import ProviderError

# Inputs that Docker Engine takes as they are, and the names it has for them.
CONTAINER = {
    "args": "Args",
    "capAdds": "CapabilityAdd",
    "capDrops": "CapabilityDrop",
    "commands": "Command",
    "dir": "Dir",
    "groups": "Groups",
    "hostname": "Hostname",
    "image": "Image",
    "isolation": "Isolation",
    "readOnly": "ReadOnly",
    "stopSignal": "StopSignal",
    "sysctl": "Sysctls",
    "user": "User",
}
DNS = {"nameservers": "Nameservers", "options": "Options", "searches": "Search"}
LIMITS = {"memoryBytes": "MemoryBytes", "nanoCpus": "NanoCPUs"}
MOUNT = {"readOnly": "ReadOnly", "source": "Source", "target": "Target", "type": "Type"}
PLATFORM = {"architecture": "Architecture", "os": "OS"}
PORT = {
    "name": "Name",
    "protocol": "Protocol",
    "publishMode": "PublishMode",
    "publishedPort": "PublishedPort",
    "targetPort": "TargetPort",
}
ROLL = {"failureAction": "FailureAction", "order": "Order", "parallelism": "Parallelism"}
ROLL_DURATIONS = {"delay": "Delay", "monitor": "Monitor"}
HEALTHCHECK_DURATIONS = {"interval": "Interval", "startPeriod": "StartPeriod", "timeout": "Timeout"}
RESTART_DURATIONS = {"delay": "Delay", "window": "Window"}
Request = dict[str, Any]


def service_body(inputs: Properties, present: Sequence[str] = ()) -> Request:
    """Return the body of the request; raises ProviderError for a network without id and name.

    `present` is the environment that the service has, in Docker Engine's order.
    """
    return {
        "Name": inputs["name"],
        "Labels": label_map(inputs),
        "TaskTemplate": _task(inputs["taskSpec"], present),
        "Mode": _mode(inputs.get("mode") or {}),
        "UpdateConfig": _roll(inputs.get("updateConfig")),
        "RollbackConfig": _roll(inputs.get("rollbackConfig")),
        "EndpointSpec": _endpoint(inputs.get("endpointSpec") or {}),
    }


def _task(task: Properties, present: Sequence[str]) -> Request:
    driver = task.get("logDriver")
    return {
        "ContainerSpec": _container(task["containerSpec"], present),
        "Resources": _resources(task.get("resources") or {}),
        "RestartPolicy": _restart_policy(task.get("restartPolicy")),
        "Placement": _placement(task.get("placement") or {}),
        "ForceUpdate": task.get("forceUpdate") or 0,
        "Runtime": task.get("runtime") or "",
        "Networks": [_network(network) for network in _ordered(task.get("networksAdvanceds"))],
        "LogDriver": driver and {"Name": driver["name"], "Options": driver.get("options") or {}},
    }


def _container(spec: Properties, present: Sequence[str]) -> Request:
    return {
        **_renamed(spec, CONTAINER),
        "Image": tagged(spec["image"]),
        "Labels": label_map(spec),
        "Env": _environment(spec.get("env") or {}, present),
        # What is not set is sent nevertheless: no time to stop in, and no init process whatever dockerd's default is.
        "StopGracePeriod": _nanoseconds(spec.get("stopGracePeriod")),
        "Init": bool(spec.get("init")),
        "Healthcheck": _healthcheck(spec.get("healthcheck")),
        "DNSConfig": _renamed(spec.get("dnsConfig") or {}, DNS),
        "Hosts": [f"{host['ip']} {host['host']}" for host in _ordered(spec.get("hosts"))],
        "Mounts": [_mount(mount) for mount in _ordered(spec.get("mounts"))],
        "Configs": [_file("Config", config) for config in _ordered(spec.get("configs"))],
        "Secrets": [_file("Secret", secret) for secret in _ordered(spec.get("secrets"))],
    }


def _environment(variables: Mapping[str, str], present: Sequence[str]) -> list[str]:
    """Return an environment in an order that is never the present one.

    The real plugin's is random: by chance it is the present one, else Docker Engine restarts all tasks.
    """
    entries = [f"{name}={value}" for name, value in variables.items()]
    random.shuffle(entries)
    return [*entries[1:], *entries[:1]] if entries == list(present) else entries


def _healthcheck(check: Properties | None) -> Request:
    if check is None:
        return {}
    durations = {theirs: _nanoseconds(check.get(ours)) for ours, theirs in HEALTHCHECK_DURATIONS.items()}
    return {"Test": check.get("tests") or [], "Retries": check.get("retries") or 0, **durations}


def _mount(mount: Properties) -> Request:
    request = _renamed(mount, MOUNT)
    if (bind := mount.get("bindOptions")) is not None:
        request["BindOptions"] = {"Propagation": bind.get("propagation") or ""}
    if (volume := mount.get("volumeOptions")) is not None:
        request["VolumeOptions"] = {
            "NoCopy": bool(volume.get("noCopy")),
            "Labels": label_map(volume),
            "DriverConfig": {"Name": volume.get("driverName") or "", "Options": volume.get("driverOptions") or {}},
        }
    if (tmpfs := mount.get("tmpfsOptions")) is not None:
        request["TmpfsOptions"] = {"SizeBytes": tmpfs.get("sizeBytes") or 0, "Mode": tmpfs.get("mode") or 0}
    return request


def _file(kind: str, reference: Properties) -> Request:
    ours = kind.lower()
    return {
        f"{kind}ID": reference[f"{ours}Id"],
        f"{kind}Name": reference.get(f"{ours}Name") or "",
        "File": {
            "Name": reference["fileName"],
            "UID": reference["fileUid"],
            "GID": reference["fileGid"],
            "Mode": reference["fileMode"],
        },
    }


def _resources(resources: Properties) -> Request:
    sides = {"Limits": resources.get("limits"), "Reservations": resources.get("reservation")}
    return {theirs: _renamed(amounts, LIMITS) for theirs, amounts in sides.items() if amounts is not None}


def _restart_policy(policy: Properties | None) -> Request:
    if policy is None:
        return {}
    durations = {theirs: _nanoseconds(policy.get(ours)) for ours, theirs in RESTART_DURATIONS.items()}
    return {"Condition": policy.get("condition") or "", "MaxAttempts": policy.get("maxAttempts") or 0, **durations}


def _placement(placement: Properties) -> Request:
    return {
        "Constraints": sorted(placement.get("constraints") or []),
        "Preferences": [{"Spread": {"SpreadDescriptor": pref}} for pref in sorted(placement.get("prefs") or [])],
        "Platforms": [_renamed(platform, PLATFORM) for platform in _ordered(placement.get("platforms"))],
        "MaxReplicas": placement.get("maxReplicas") or 0,
    }


def _network(network: Properties) -> Request:
    target = network.get("id") or network.get("name")
    if not target:
        raise ProviderError("network 'name' or 'id' must be specified")
    options = (option.partition("=") for option in sorted(network.get("driverOpts") or []))
    return {
        "Target": target,
        "Aliases": sorted(network.get("aliases") or []),
        "DriverOpts": {key: value for key, equals, value in options if equals},
    }


def _mode(mode: Properties) -> Request:
    replicated, request = mode.get("replicated"), Request()
    if replicated is not None:
        request["Replicated"] = {"Replicas": replicated["replicas"]}
    if mode.get("global"):
        request["Global"] = {}
    return request


def _roll(config: Properties | None) -> Request | None:
    if config is None:
        return None
    durations = {theirs: _nanoseconds(config.get(ours)) for ours, theirs in ROLL_DURATIONS.items()}
    return {**_renamed(config, ROLL), **durations, "MaxFailureRatio": float(config["maxFailureRatio"])}


def _endpoint(endpoint: Properties) -> Request:
    # Their order is the one written: they are a list.
    ports = [_renamed(port, PORT) for port in endpoint.get("ports") or []]
    return {"Mode": endpoint.get("mode") or "", "Ports": ports}


def _renamed(properties: Mapping[str, Any], names: Mapping[str, str]) -> Request:
    return {theirs: properties[ours] for ours, theirs in names.items() if properties.get(ours) is not None}


def _ordered(items: Iterable[Properties] | None) -> list[Properties]:
    """Return a set's items in an order that depends on them alone, as the real plugin's does."""
    return sorted(items or [], key=lambda item: json.dumps(item, sort_keys=True))


def _nanoseconds(duration: str | None) -> int:
    return nanoseconds(duration) if duration else 0
