"""The Container resource: made, started, waited for, read, changed in place where the engine can, removed."""

import time
from typing import Any

from docker.errors import APIError

from offline.plugins import diffing
from offline.plugins.engine import container_config, container_state, images, uploads
from offline.plugins.engine.connection import CONNECTION_ERRORS, Connection, is_missing, words
from offline.plugins.engine.images import TABLES
from offline.plugins.resources import InitError, PluginError
from offline.plugins.wire import Properties

CONTAINER = "docker:index/container:Container"
LOOK_SECONDS = 1.0
UNHEALTHY = "container failed to be in healthy state"
NO_CHECK = (
    "you have supplied a 'wait' argument, but the container does not have a healthcheck defined."
    " Please remove the 'wait' argument or add a 'healthcheck' attribute"
)
# A change of one of these is sent to the engine, with all of them; every other change in place is noted only.
APPLIED = ("restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap")
APPLIED_DEVICES = tuple(container_config.THROTTLES)


class Container:
    """A container. Two of one name cannot live side by side, so the old one always goes first."""

    table = TABLES[CONTAINER]
    always_delete_first = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def validate(self, inputs: Properties) -> list[str]:
        return []

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        identifier = self._make(inputs)
        # From here on it exists, so whatever fails leaves it in the state, without what would have been computed.
        try:
            self._connect(identifier, inputs)
            uploads.upload(self.connection.api, identifier, inputs.get("uploads") or [])
            if inputs.get("start", True):
                self._start(identifier)
                if inputs.get("wait"):
                    self._wait_healthy(identifier, inputs.get("waitTimeout") or 0)
            logs = self._attach(identifier, inputs) if inputs.get("attach") else None
            now = self.read(identifier, {**inputs, "containerLogs": logs})
        except (PluginError, *CONNECTION_ERRORS) as error:
            raise InitError(identifier, inputs, words(error)) from error
        if now is None:
            raise PluginError(f"container {inputs['name']} was removed while it was made")
        return identifier, _as_planned(inputs, now)

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        found = self._inspect(identifier)
        return None if found is None else container_state.outputs(found, olds)

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        api = self.connection.api
        if not olds.get("mustRun", True) and news.get("mustRun", True) and news.get("start", True):
            self._start(identifier)
        if any(diffing.changed(self.table, name, olds, news) for name in APPLIED + APPLIED_DEVICES):
            url = api._url("/containers/{0}/update", identifier)  # the SDK knows no device limits here
            answer = api._post_json(url, data=container_config.update_config(news))
            try:
                api._result(answer, True)
            except APIError as error:
                raise PluginError(f"Unable to update a container: {words(error)}") from error
        return news

    def delete(self, identifier: str, olds: Properties) -> None:
        api = self.connection.api
        try:
            if not olds.get("attach"):
                api.stop(identifier, timeout=max(olds.get("destroyGraceSeconds") or 0, 0))
            api.remove_container(identifier, v=bool(olds.get("removeVolumes", True)), force=True)
        except APIError as error:
            if not is_missing(error) and "is already in progress" not in str(error.explanation):
                raise PluginError(f"Error deleting container {identifier}: {words(error)}") from error
        try:
            api.wait(identifier, timeout=None, condition="removed" if olds.get("rm") else "not-running")
        except APIError as error:
            if not is_missing(error):
                raise PluginError(f"Error waiting for container removal '{identifier}': {words(error)}") from error

    def _make(self, inputs: Properties) -> str:
        image = inputs["image"]
        try:
            images.find(self.connection, image)
        except PluginError as error:
            raise PluginError(f"Unable to create container with image {image}: {error}") from error
        body = container_config.config(inputs, self.connection.version())
        try:
            made = self.connection.api.create_container_from_config(body, inputs["name"], inputs.get("platform"))
        except APIError as error:
            raise PluginError(f"Unable to create container: {words(error)}") from error
        return str(made["Id"])

    def _connect(self, identifier: str, inputs: Properties) -> None:
        given = inputs.get("networksAdvanced") or []
        if not given:
            return
        api = self.connection.api
        try:
            api.disconnect_container_from_network(identifier, "bridge")
        except APIError as error:
            if "is not connected to the network bridge" not in str(error.explanation):
                raise PluginError(f"Unable to disconnect the default network: {words(error)}") from error
        for each in given:
            try:
                api.connect_container_to_network(
                    identifier,
                    each["name"],
                    aliases=each.get("aliases"),
                    ipv4_address=each.get("ipv4Address"),
                    ipv6_address=each.get("ipv6Address"),
                    link_local_ips=each.get("linkLocalIps"),
                    driver_opt=dict(option.split("=", 1) for option in each.get("driverOpts") or []) or None,
                    mac_address=each.get("macAddress"),
                )
            except APIError as error:
                raise PluginError(f"Unable to connect to network '{each['name']}': {words(error)}") from error

    def _start(self, identifier: str) -> None:
        try:
            self.connection.api.start(identifier)
        except APIError as error:
            raise PluginError(f"Unable to start container: {words(error)}") from error

    def _wait_healthy(self, identifier: str, seconds: int) -> None:
        """Wait for the health check. One that has exited is waited for as well, as long as any other."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self._inspect(identifier)
            health = ((found or {}).get("State") or {}).get("Health")
            if health is None:
                raise PluginError(NO_CHECK)
            if health["Status"] == "healthy":
                return
            time.sleep(min(LOOK_SECONDS, max(end - time.monotonic(), 0)))
        raise PluginError(UNHEALTHY)

    def _attach(self, identifier: str, inputs: Properties) -> str | None:
        """Wait for the end of a job and return what it wrote, if asked; how it ended is for the program to judge."""
        api = self.connection.api
        try:
            api.wait(identifier, timeout=None, condition="not-running")
            if not inputs.get("logs"):
                return None
            return bytes(api.logs(identifier, stdout=True, stderr=True)).decode(errors="replace")
        except CONNECTION_ERRORS as error:
            raise PluginError(f"Unable to wait container end of execution: {words(error)}") from error

    def _inspect(self, identifier: str) -> dict[str, Any] | None:
        try:
            return dict(self.connection.api.inspect_container(identifier))
        except APIError as error:
            if is_missing(error):
                return None
            raise PluginError(words(error)) from error


def _as_planned(inputs: Properties, now: Properties) -> Properties:
    """Return the state after a create: lists and objects as given, single values as the engine has them.

    So "1" CPU, which the engine calls "1.0", differs from the start, and a duration of "60s" only after a refresh.
    """
    planned = {key: value for key, value in inputs.items() if isinstance(value, list | dict)}
    if any(port.get("external") is None for port in planned.get("ports") or []):
        planned.pop("ports")  # the engine has chosen
    if "memorySwap" not in inputs:
        now = {key: value for key, value in now.items() if key != "memorySwap"}
    return {**now, **planned}
