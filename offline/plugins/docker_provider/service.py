"""The Service resource: tasks that a swarm runs and replaces. Nearly all of it changes in place."""

import time
from collections.abc import Iterator
from typing import Any

import requests
from docker.errors import APIError, NotFound

from offline.plugins.diff import recorded
from offline.plugins.docker_provider import service_convergence, service_spec, service_state
from offline.plugins.docker_provider.connection import CONNECTION_ERRORS, Connection, docker_errors, message
from offline.plugins.docker_provider.image_names import with_digest
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.formats import nanoseconds
from offline.plugins.property_values import Properties
from offline.plugins.resource import InitError, ProviderError, Resource

SERVICE = "docker:index/service:Service"
CONFLICTS = "Conflicting configuration arguments. {first}: conflicts with {second}"
# Paths of the plugin and of the provider that it is made from.
REPLICATED = ("mode.replicated", '"mode.0.replicated"', "mode.0.global")
GLOBAL = ("mode.global", '"mode.0.global"', "mode.0.replicated")
GLOBAL_AND_CONVERGED = ("mode.global", '"mode.0.global"', "converge_config")
CONVERGED = ("convergeConfig", '"converge_config"', "mode.0.global")
ENDPOINT_SECONDS, POLL_SECONDS = 30.0, 1.0
REMOVED = ("No such container", "is already in progress")


class Service(Resource):
    """A service of a swarm, identified by its id. Two cannot have one name."""

    schema = SCHEMAS[SERVICE]
    delete_before_replace = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def refused(self, news: Properties) -> Iterator[tuple[str, str]]:
        mode = news["mode"] if isinstance(news.get("mode"), dict) else {}
        if mode.get("global") is None:
            return
        # A `global` of false excludes them, too.
        conflicts = [REPLICATED, GLOBAL] if mode.get("replicated") is not None else []
        if news.get("convergeConfig") is not None:
            conflicts += [GLOBAL_AND_CONVERGED, CONVERGED]
        for path, first, second in conflicts:
            yield path, CONFLICTS.format(first=first, second=second)

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        body = service_spec.service_body(inputs)
        self._pin(body["TaskTemplate"])
        with docker_errors():
            identifier = str(self._post("/services/create", body)["ID"])
        if converge := inputs.get("convergeConfig"):
            try:
                service_convergence.wait_for_create(self.connection.api, identifier, converge)
            except ProviderError:
                self.delete(identifier, inputs)
                raise
        return identifier, self._recorded(identifier, inputs)

    def read(self, identifier: str, olds: Properties) -> Properties | None:
        """Return its present outputs. Another service that has its name by now is taken for it."""
        end = time.monotonic() + ENDPOINT_SECONDS
        while True:
            with docker_errors("Error fetching service information from Docker"):
                services = self.connection.api.services()
            found = (
                item["ID"] for item in services if identifier == item["ID"] or item["Spec"]["Name"] == olds["name"]
            )
            present = next(found, None)
            if present is None:
                return None
            with docker_errors(f"Error inspecting service {present}"):
                inspected = self.connection.api.inspect_service(present)
            if service_state.has_endpoint(inspected):
                return service_state.outputs(inspected, olds)
            if time.monotonic() > end:
                limit = "(last state: 'pending', timeout: 30s)"
                raise ProviderError(f"timeout while waiting for state to become 'all_fields, removed' {limit}")
            time.sleep(POLL_SECONDS)

    def update(self, identifier: str, olds: Properties, news: Properties) -> Properties:
        """Send the whole service again, changed or not.

        The state has the new values even when that fails. Pulumi tries again then, for what failed before.
        """
        try:
            with docker_errors():
                present = self.connection.api.inspect_service(identifier)
                environment = present["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or []
                # No registry is asked for the image now: a digest of the create is lost.
                body = service_spec.service_body(news, environment)
                self._post(f"/services/{identifier}/update", body, version=present["Version"]["Index"])
            if converge := news.get("convergeConfig"):
                service_convergence.wait_for_update(self.connection.api, identifier, converge)
        except ProviderError as error:
            raise InitError(identifier, news, str(error)) from error
        return self._recorded(identifier, news)

    def delete(self, identifier: str, olds: Properties) -> None:
        """Remove it and, if it has a grace period, wait as long for the containers of its tasks on this machine."""
        api, grace = self.connection.api, olds["taskSpec"]["containerSpec"].get("stopGracePeriod")
        waits = bool(grace) and grace != "0s"
        with docker_errors():
            tasks = api.tasks(filters={"service": olds["name"]}) if waits else []
        with docker_errors(f"Error deleting service with ID '{identifier}'"):
            api.remove_service(identifier)
        for container in filter(None, map(_container, tasks)):
            self._wait_until_removed(container, nanoseconds(grace) / service_convergence.SECOND)

    def _recorded(self, identifier: str, written: Properties) -> Properties:
        """Return what the state takes of what was written: Docker's form and values, but sets as they were written."""
        present = self.read(identifier, written) or {}
        outputs = {key: recorded(prop, written.get(key), present.get(key)) for key, prop in self.schema.items()}
        return {key: value for key, value in outputs.items() if value is not None}

    def _wait_until_removed(self, container: str, seconds: float) -> None:
        try:
            self.connection.api.wait(container, timeout=seconds, condition="removed")
        except NotFound:  # on another node, or removed already
            pass
        except (requests.ReadTimeout, requests.ConnectionError) as error:
            reason = f"error on wait for container with ID '{container}': context deadline exceeded"
            raise ProviderError(reason) from error
        try:
            self.connection.api.remove_container(container, v=True, force=True)
        except APIError as error:
            if not any(text in message(error) for text in REMOVED):
                raise ProviderError(f"Error deleting container with ID '{container}': {message(error)}") from error

    def _pin(self, task: dict[str, Any]) -> None:
        """Pin the image to the digest that its registry reports; without an answer it stays as it is."""
        container = task["ContainerSpec"]
        try:
            found = self.connection.api.inspect_distribution(container["Image"])
        except CONNECTION_ERRORS:
            return
        container["Image"] = with_digest(container["Image"], found["Descriptor"]["digest"])
        platforms = found.get("Platforms") or []
        if platforms:
            task["Placement"]["Platforms"] = [
                {
                    "Architecture": "" if item["architecture"].lower() == "arm" else item["architecture"],
                    "OS": item["os"],
                }
                for item in platforms
            ]

    def _post(self, path: str, body: dict[str, Any], **parameters: Any) -> Any:  # noqa: ANN401 - as wide as JSON
        api = self.connection.api
        return api._result(api._post_json(api._url(path), data=body, params=parameters), True)


def _container(task: dict[str, Any]) -> str:
    """Return the container of a task that is not shut down, "" when it has none."""
    status = task["Status"]
    return "" if status["State"] == "shutdown" else (status.get("ContainerStatus") or {}).get("ContainerID") or ""
