"""Networks and volumes: everything about them is fixed when they are made."""

import time
from collections.abc import Callable
from typing import Any

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from offline.plugins.engine.connection import Connection, is_missing, words
from offline.plugins.engine.images import TABLES
from offline.plugins.resources import PluginError
from offline.plugins.wire import Properties

NETWORK, VOLUME = "docker:index/network:Network", "docker:index/volume:Volume"
REMOVE_SECONDS = 30.0  # as long as the real plugin waits for others to let go
RETRY_SECONDS = 1.0


class Network:
    """A network; it is removed when its last container has left it."""

    table = TABLES[NETWORK]
    always_delete_first = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def validate(self, inputs: Properties) -> list[str]:
        return []

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        pools = [
            IPAMPool(
                subnet=each.get("subnet"),
                iprange=each.get("ipRange"),
                gateway=each.get("gateway"),
                aux_addresses=each.get("auxAddress"),
            )
            for each in inputs.get("ipamConfigs") or []
        ]
        try:
            made = self.connection.api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                options=inputs.get("options"),
                ipam=IPAMConfig(
                    driver=inputs.get("ipamDriver") or "default", pool_configs=pools, options=inputs.get("ipamOptions")
                ),
                check_duplicate=True,
                internal=bool(inputs.get("internal")),
                labels=label_map(inputs.get("labels")),
                enable_ipv6=bool(inputs.get("ipv6")),
                attachable=inputs.get("attachable"),
                ingress=inputs.get("ingress"),
            )
        except APIError as error:
            raise PluginError(f"Unable to create network: {words(error)}") from error
        now = self.read(made["Id"], inputs)
        if now is None:
            raise PluginError(f"network {inputs['name']} was removed while it was made")
        return made["Id"], {**now, **{key: value for key, value in inputs.items() if isinstance(value, list | dict)}}

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        try:
            found = self.connection.api.inspect_network(identifier)
        except APIError as error:
            if is_missing(error):
                return None
            raise PluginError(f"Unable to inspect network: {words(error)}") from error
        ipam = found.get("IPAM") or {}
        return {
            **olds,
            "name": found["Name"],
            "labels": label_list(found.get("Labels")),
            "driver": found["Driver"],
            "internal": found["Internal"],
            "attachable": found["Attachable"],
            "ingress": found["Ingress"],
            "ipv6": found["EnableIPv6"],
            "ipamDriver": ipam.get("Driver"),
            "ipamOptions": ipam.get("Options") or {},
            "ipamConfigs": [_pool(each) for each in ipam.get("Config") or []],
            "options": found.get("Options") or {},
            "scope": found["Scope"],
        }

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        raise PluginError("a network has nothing that can be updated")

    def delete(self, identifier: str, olds: Properties) -> None:
        _remove(lambda: self.connection.api.remove_network(identifier), "has active endpoints", "network")


class Volume:
    """A volume, found by its name: making one that is there already takes it over."""

    table = TABLES[VOLUME]
    always_delete_first = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def validate(self, inputs: Properties) -> list[str]:
        return []

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        try:
            made = self.connection.api.create_volume(
                inputs["name"],
                driver=inputs.get("driver"),
                driver_opts=inputs.get("driverOpts"),
                labels=label_map(inputs.get("labels")),
            )
        except APIError as error:
            raise PluginError(f"Unable to create volume: {words(error)}") from error
        now = self.read(made["Name"], inputs)
        if now is None:
            raise PluginError(f"volume {made['Name']} was removed while it was made")
        return made["Name"], {**now, **{key: value for key, value in inputs.items() if isinstance(value, list | dict)}}

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        try:
            found = self.connection.api.inspect_volume(identifier)
        except APIError as error:
            if is_missing(error):
                return None
            raise PluginError(f"Unable to inspect volume: {words(error)}") from error
        return {
            **olds,
            "name": found["Name"],
            "labels": label_list(found.get("Labels")),
            "driver": found["Driver"],
            "driverOpts": found.get("Options") or {},
            "mountpoint": found["Mountpoint"],
        }

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        return news

    def delete(self, identifier: str, olds: Properties) -> None:
        _remove(lambda: self.connection.api.remove_volume(identifier, force=True), "volume is in use", "volume")


def label_map(labels: list[dict[str, str]] | None) -> dict[str, str]:
    """Return labels as the engine takes them."""
    return {each["label"]: each.get("value") or "" for each in labels or []}


def label_list(labels: dict[str, str] | None) -> list[dict[str, str]]:
    """Return labels as Pulumi programs write them."""
    return [{"label": label, "value": value} for label, value in sorted((labels or {}).items())]


def _pool(config: dict[str, Any]) -> Properties:
    names = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange", "auxAddress": "AuxiliaryAddresses"}
    return {name: config[theirs] for name, theirs in names.items() if config.get(theirs)}


def _remove(remove: Callable[[], object], busy: str, what: str) -> None:
    """Remove an object, waiting for those who still use it: containers are sometimes gone a moment later."""
    end = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            remove()
            return
        except APIError as error:
            if is_missing(error):
                return
            if busy not in str(error.explanation or error) or time.monotonic() > end:
                raise PluginError(f"Unable to remove {what}: {words(error)}") from error
        time.sleep(RETRY_SECONDS)
