"""The resource provider's gRPC service, shared by the fake providers: their resource types do the work."""

import traceback
from collections.abc import Callable, Mapping
from typing import TypeVar

from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.runtime.proto import errors_pb2, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2  # noqa: F401

from offline.plugins.check import DEFAULTS, check
from offline.plugins.diff import diff, with_computed
from offline.plugins.grpc_server import UNKNOWN_CODE, Context, abort
from offline.plugins.property_values import UNKNOWN, Properties, from_struct, secret, to_struct
from offline.plugins.resource import InitError, ProviderError, Resource

Result = TypeVar("Result")
UNSUPPORTED_TYPE = "The offline fake {package} provider does not support resources of type {type}"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers for the resource types of one package.

    It accepts no secrets: the Pulumi engine sends their values and marks as secret what is returned for them.
    """

    def __init__(self, package: str, version: str, resources: Mapping[str, Resource]) -> None:
        self.package, self.version, self.resources = package, version, resources

    def configure(self, settings: Properties) -> None:
        """Take over the provider's settings; raises ProviderError when they cannot work."""

    def check_settings(self, settings: Properties) -> tuple[Properties, list[str]]:
        """Return the provider's complete settings, and a reason for each that is refused."""
        return settings, []

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        """Cancel nothing: as with the real plugins, a create that has begun is finished."""
        return empty_pb2.Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        return _check_response(*self.check_settings(from_struct(request.news)))

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Context) -> provider_pb2.ConfigureResponse:
        self._guard(context, lambda: self.configure(from_struct(request.args)))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        kind, name = _type(request.urn), request.urn.rsplit("::", 1)[-1]
        if kind not in self.resources:
            return _check_response({}, [UNSUPPORTED_TYPE.format(package=self.package, type=kind)])
        news = from_struct(request.news)
        inputs, failures = check(self.resources[kind].schema, name, news)
        refused = self.resources[kind].refused(news)
        return _check_response(
            inputs, [*failures, *(f"{reason}. Examine values at '{name}.{path}'." for path, reason in refused)]
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        resource = self._resource(request.urn, context)
        olds, news = from_struct(request.olds), from_struct(request.news)
        return diff(resource.schema, olds, news, request.ignoreChanges, resource.delete_before_replace)

    def Create(self, request: provider_pb2.CreateRequest, context: Context) -> provider_pb2.CreateResponse:
        resource = self._resource(request.urn, context)
        inputs = _without_defaults(from_struct(request.properties))
        if request.preview:
            unknown = {key: UNKNOWN for key, prop in resource.schema.items() if prop.output or prop.computed}
            return provider_pb2.CreateResponse(properties=_to_state(resource, {**unknown, **inputs}))
        identifier, outputs = self._guard(context, lambda: resource.create(inputs))
        return provider_pb2.CreateResponse(id=identifier, properties=_to_state(resource, outputs))

    def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        """Return the present outputs, and the inputs with their present values."""
        resource = self._resource(request.urn, context)
        olds, inputs = from_struct(request.properties), from_struct(request.inputs)
        outputs = self._guard(context, lambda: resource.read(request.id, olds))
        if outputs is None:
            return provider_pb2.ReadResponse()
        present = {key: outputs.get(key) for key in inputs if key in resource.schema}
        return provider_pb2.ReadResponse(
            id=outputs.pop("id", None) or request.id,
            properties=_to_state(resource, outputs),
            inputs=_to_state(resource, {**inputs, **present}),
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: Context) -> provider_pb2.UpdateResponse:
        resource = self._resource(request.urn, context)
        olds, news = from_struct(request.olds), _without_defaults(from_struct(request.news))
        schema = resource.schema
        # What the provider has computed stays; any other input that is not set any more is dropped.
        kept = {key: olds[key] for key, prop in schema.items() if key in olds and (prop.computed or prop.output)}
        planned = {key: with_computed(schema[key], olds.get(key), value) for key, value in news.items()}
        outputs = {**kept, **planned}
        if not request.preview:
            present = self._guard(context, lambda: resource.update(request.id, olds, outputs))
            return provider_pb2.UpdateResponse(properties=_to_state(resource, present or outputs))
        return provider_pb2.UpdateResponse(properties=_to_state(resource, outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> empty_pb2.Empty:
        resource = self._resource(request.urn, context)
        self._guard(context, lambda: resource.delete(request.id, from_struct(request.properties)))
        return empty_pb2.Empty()

    def _resource(self, urn: str, context: Context) -> Resource:
        kind = _type(urn)
        if kind not in self.resources:
            abort(context, UNKNOWN_CODE, UNSUPPORTED_TYPE.format(package=self.package, type=kind))
        return self.resources[kind]

    def _guard(self, context: Context, operation: Callable[[], Result]) -> Result:
        """Run an operation and answer what it raises as the real plugins answer it."""
        try:
            return operation()
        except InitError as error:
            failed = provider_pb2.ErrorResourceInitFailed(
                id=error.identifier, properties=to_struct(error.outputs), inputs=to_struct({}), reasons=[str(error)]
            )
            detail = any_pb2.Any()
            detail.Pack(failed)
            status = status_pb2.Status(code=UNKNOWN_CODE.value[0], message=str(error), details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            abort(context, UNKNOWN_CODE, str(error))
        except (ProviderError, OSError) as error:  # OSError: Docker Engine no longer answers
            abort(context, UNKNOWN_CODE, f"1 error occurred:\n\t* {error}\n\n")
        except Exception:
            abort(context, UNKNOWN_CODE, f"the offline fake {self.package} provider failed:\n{traceback.format_exc()}")


def _check_response(inputs: Properties, refused: list[str]) -> provider_pb2.CheckResponse:
    failures = [provider_pb2.CheckFailure(reason=reason) for reason in refused]
    return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=failures)


def _type(urn: str) -> str:
    """Return the resource type in a URN: the last one in its chain of parents."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _without_defaults(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def _to_state(resource: Resource, outputs: Properties) -> struct_pb2.Struct:
    secrets = {key: secret(outputs[key]) for key, prop in resource.schema.items() if prop.secret and key in outputs}
    return to_struct({**outputs, **secrets})
