"""A service's outputs, from what Docker Engine reports of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from offline.plugins.docker_provider.service_spec import (
    CONTAINER,
    DNS,
    HEALTHCHECK_DURATIONS,
    LIMITS,
    MOUNT,
    PLATFORM,
    PORT,
    RESTART_DURATIONS,
    ROLL,
    ROLL_DURATIONS,
)
from offline.plugins.formats import short_duration
from offline.plugins.property_values import Properties

PERMISSIONS = 0o777  # what is read of a tmpfs mount's mode: not the sticky bit
Inspected = Mapping[str, Any]


def outputs(inspected: Inspected, olds: Properties) -> Properties:
    """Return what the state holds after a service was read; how to wait for it is not read."""
    spec = inspected["Spec"]
    return {
        **olds,
        "id": inspected["ID"],
        "name": spec["Name"],
        "labels": _labels(spec.get("Labels")),
        "taskSpec": _task(spec["TaskTemplate"]),
        "mode": _mode(spec["Mode"]),
        "updateConfig": _roll(spec.get("UpdateConfig")),
        "rollbackConfig": _roll(spec.get("RollbackConfig")),
        "endpointSpec": _endpoint(inspected),
    }


def has_endpoint(inspected: Inspected) -> bool:
    """Return whether Docker Engine tells already how a service is reached."""
    return bool(_endpoint(inspected)["mode"])


def _task(task: Inspected) -> Properties:
    driver, resources = task.get("LogDriver"), task.get("Resources")
    return _set(
        containerSpec=_container(task["ContainerSpec"]),
        resources=None if resources is None else _resources(resources),
        restartPolicy=_restart_policy(task.get("RestartPolicy")),
        placement=_placement(task.get("Placement")),
        forceUpdate=task.get("ForceUpdate") or 0,
        runtime=task.get("Runtime") or None,
        networksAdvanceds=[_network(network) for network in task.get("Networks") or []],
        logDriver=driver and _set(name=driver["Name"], options=driver.get("Options") or None),
    )


def _container(spec: Inspected) -> Properties:
    period, check, dns = spec.get("StopGracePeriod"), spec.get("Healthcheck"), spec.get("DNSConfig")
    return _set(
        **{ours: spec.get(theirs) or None for ours, theirs in CONTAINER.items()},
        env=dict(entry.partition("=")[::2] for entry in spec.get("Env") or []),
        labels=_labels(spec.get("Labels")),
        stopGracePeriod=None if period is None else short_duration(period),
        init=spec.get("Init"),
        healthcheck=None if check is None else _healthcheck(check),
        dnsConfig=None if dns is None else _renamed(dns, DNS),
        hosts=[dict(zip(("ip", "host"), host.split(" ")[:2], strict=True)) for host in spec.get("Hosts") or []],
        mounts=[_mount(mount) for mount in spec.get("Mounts") or []],
        configs=[_file("Config", config) for config in spec.get("Configs") or []],
        secrets=[_file("Secret", secret) for secret in spec.get("Secrets") or []],
    )


def _healthcheck(check: Inspected) -> Properties:
    durations = {ours: short_duration(check.get(theirs) or 0) for ours, theirs in HEALTHCHECK_DURATIONS.items()}
    return {"tests": check.get("Test") or [], "retries": check.get("Retries") or 0, **durations}


def _mount(mount: Inspected) -> Properties:
    present = _renamed(mount, MOUNT)
    if (bind := mount.get("BindOptions")) is not None:
        present["bindOptions"] = _set(propagation=bind.get("Propagation") or None)
    if (volume := mount.get("VolumeOptions")) is not None:
        driver = volume.get("DriverConfig") or {}
        present["volumeOptions"] = _set(
            noCopy=bool(volume.get("NoCopy")),
            labels=_labels(volume.get("Labels")),
            driverName=driver.get("Name") or None,
            driverOptions=driver.get("Options") or None,
        )
    if (tmpfs := mount.get("TmpfsOptions")) is not None:
        mode = (tmpfs.get("Mode") or 0) & PERMISSIONS
        present["tmpfsOptions"] = {"sizeBytes": tmpfs.get("SizeBytes") or 0, "mode": mode}
    return present


def _file(kind: str, reference: Inspected) -> Properties:
    file, ours = reference.get("File") or {}, kind.lower()
    return _set(
        **{f"{ours}Id": reference[f"{kind}ID"], f"{ours}Name": reference.get(f"{kind}Name") or None},
        fileName=file.get("Name"),
        fileUid=file.get("UID") or None,
        fileGid=file.get("GID") or None,
        fileMode=file.get("Mode") or 0,
    )


def _resources(resources: Inspected) -> Properties:
    sides = {"limits": resources.get("Limits"), "reservation": resources.get("Reservations")}
    return {ours: _renamed(amounts, LIMITS) for ours, amounts in sides.items() if amounts is not None}


def _restart_policy(policy: Inspected | None) -> Properties | None:
    if policy is None:
        return None
    present = {ours: policy.get(theirs) for ours, theirs in RESTART_DURATIONS.items()}
    durations = {name: None if count is None else short_duration(count) for name, count in present.items()}
    return _set(condition=policy.get("Condition") or None, maxAttempts=policy.get("MaxAttempts"), **durations)


def _placement(placement: Inspected | None) -> Properties | None:
    if placement is None:
        return None
    return _set(
        constraints=placement.get("Constraints") or [],
        prefs=[pref["Spread"]["SpreadDescriptor"] for pref in placement.get("Preferences") or []],
        platforms=[_renamed(platform, PLATFORM) for platform in placement.get("Platforms") or []],
        maxReplicas=placement.get("MaxReplicas") or 0,
    )


def _network(network: Inspected) -> Properties:
    options = [f"{key}={value}" for key, value in sorted((network.get("DriverOpts") or {}).items())]
    return _set(id=network["Target"], aliases=network.get("Aliases") or [], driverOpts=options)


def _mode(mode: Inspected) -> Properties:
    replicated = mode.get("Replicated")
    return _set(
        replicated=None if replicated is None else {"replicas": replicated.get("Replicas") or 0},
        **{"global": mode.get("Global") is not None},
    )


def _roll(config: Inspected | None) -> Properties | None:
    if config is None:
        return None
    durations = {ours: short_duration(config.get(theirs) or 0) for ours, theirs in ROLL_DURATIONS.items()}
    # One digit is read of the ratio.
    return {**_renamed(config, ROLL), **durations, "maxFailureRatio": f"{config.get('MaxFailureRatio') or 0:.1f}"}


def _endpoint(inspected: Inspected) -> Properties:
    endpoint = inspected.get("Endpoint") or {}
    allocated, asked = endpoint.get("Spec") or {}, inspected["Spec"].get("EndpointSpec") or {}
    ports = endpoint.get("Ports") if allocated.get("Mode") else asked.get("Ports")
    mode = allocated.get("Mode") or asked.get("Mode") or ""
    return {"mode": mode, "ports": [_renamed(port, PORT) for port in ports or []]}


def _labels(labels: Mapping[str, str] | None) -> list[Properties]:
    return [{"label": label, "value": value} for label, value in sorted((labels or {}).items())]


def _renamed(reported: Inspected, names: Mapping[str, str]) -> Properties:
    return {ours: reported[theirs] for ours, theirs in names.items() if reported.get(theirs) is not None}


def _set(**properties: Any) -> Properties:  # noqa: ANN401 - as wide as JSON
    """Return the properties that have a value; collections that are empty are not set."""
    return {name: value for name, value in properties.items() if value is not None and not _empty(value)}


def _empty(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | Mapping) and not list(value)
