"""The resource plugin's gRPC service, the same for all stand-ins: their resource types do the work."""

import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar

from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import errors_pb2, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2  # noqa: F401

from offline.plugins import diffing
from offline.plugins.checking import DEFAULTS, check
from offline.plugins.resources import InitError, PluginError, Resource
from offline.plugins.rpc import UNKNOWN_CODE, Context
from offline.plugins.wire import UNKNOWN, Properties, Secret, from_struct, to_struct

Result = TypeVar("Result")


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine for the resource types of one package.

    Secrets are left to the engine, which sends them open and keeps what is made of them as secret as they were.
    """

    def __init__(self, package: str, version: str, resources: Mapping[str, Resource]) -> None:
        self.package, self.version, self.resources = package, version, resources

    def configure(self, settings: Properties) -> None:
        """Take over the provider's settings; PluginError when they cannot work."""

    def settings(self, given: Properties) -> tuple[Properties, list[str]]:
        """Return the provider's complete settings, and what is wrong with them."""
        return given, []

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        """Nothing is broken off: as with the real plugins, what is being created is finished first."""
        return empty_pb2.Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        settings, wrong = self.settings(from_struct(request.news))
        failures = [provider_pb2.CheckFailure(reason=reason) for reason in wrong]
        return provider_pb2.CheckResponse(inputs=to_struct(settings), failures=failures)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        olds, news = from_struct(request.olds), from_struct(request.news)
        differ = sorted(key for key in {*olds, *news} if olds.get(key) != news.get(key))
        kind = provider_pb2.DiffResponse.DIFF_SOME if differ else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=differ)

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Context) -> provider_pb2.ConfigureResponse:
        self._guard(context, lambda: self.configure(from_struct(request.args)))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        kind, name = _kind(request.urn), request.urn.rsplit("::", 1)[-1]
        resource = self.resources.get(kind)
        if resource is None:
            reason = f"the offline stand-in of the {self.package} plugin knows no {kind}, only the real one does"
            return provider_pb2.CheckResponse(failures=[provider_pb2.CheckFailure(reason=reason)])
        inputs, wrong = check(resource.table, name, from_struct(request.olds), from_struct(request.news))
        wrong = wrong or resource.validate(inputs)
        failures = [provider_pb2.CheckFailure(reason=reason) for reason in wrong]
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        resource = self._resource(request.urn, context)
        olds, news = from_struct(request.olds), from_struct(request.news)
        changes = diffing.diff(resource.table, olds, news, tuple(request.ignoreChanges))
        return diffing.response(resource.table, changes, news, resource.always_delete_first)

    def Create(self, request: provider_pb2.CreateRequest, context: Context) -> provider_pb2.CreateResponse:
        resource = self._resource(request.urn, context)
        inputs = _own(from_struct(request.properties))
        if request.preview:
            unknown = {key: UNKNOWN for key, prop in resource.table.items() if prop.output or prop.computed}
            return provider_pb2.CreateResponse(properties=to_struct(_sealed(resource, {**unknown, **inputs})))
        identifier, outputs = self._guard(context, lambda: resource.create(inputs))
        return provider_pb2.CreateResponse(id=identifier, properties=to_struct(_sealed(resource, outputs)))

    def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        """Answer the present outputs, and the inputs that would lead to them."""
        resource = self._resource(request.urn, context)
        olds, inputs = from_struct(request.properties), from_struct(request.inputs)
        outputs = self._guard(context, lambda: resource.read(request.id, olds))
        if outputs is None:
            return provider_pb2.ReadResponse()
        now = {key: outputs.get(key) for key in inputs if key in resource.table}
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=to_struct(_sealed(resource, outputs)),
            inputs=to_struct(
                {**inputs, **now} if inputs else {k: v for k, v in outputs.items() if _given(resource, k)}
            ),
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: Context) -> provider_pb2.UpdateResponse:
        resource = self._resource(request.urn, context)
        olds, news = from_struct(request.olds), _own(from_struct(request.news))
        # What the engine of containers has computed stays, what is not given any more goes.
        kept = {k: v for k, v in olds.items() if k in resource.table and not _plain(resource, k)}
        outputs = {**kept, **news}
        if not request.preview:
            outputs = self._guard(context, lambda: resource.update(request.id, olds, outputs))
        return provider_pb2.UpdateResponse(properties=to_struct(_sealed(resource, outputs)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> empty_pb2.Empty:
        resource = self._resource(request.urn, context)
        self._guard(context, lambda: resource.delete(request.id, from_struct(request.properties)))
        return empty_pb2.Empty()

    def _resource(self, urn: str, context: Context) -> Resource:
        resource = self.resources.get(_kind(urn))
        if resource is None:
            _abort(context, f"the offline stand-in of the {self.package} plugin knows no {_kind(urn)}")
        return resource

    def _guard(self, context: Context, operation: Callable[[], Result]) -> Result:
        """Run an operation and turn what it raises into the engine's errors, in the real plugins' words."""
        try:
            return operation()
        except InitError as error:
            failed = provider_pb2.ErrorResourceInitFailed(
                id=error.identifier,
                properties=to_struct(error.outputs),
                inputs=to_struct({}),
                reasons=[error.reason],
            )
            detail = any_pb2.Any()
            detail.Pack(failed)
            status = status_pb2.Status(code=UNKNOWN_CODE.value[0], message=error.reason, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(UNKNOWN_CODE, error.reason)
        except (PluginError, OSError) as error:  # OSError: what it was talking to has gone away
            _abort(context, f"1 error occurred:\n\t* {error}\n\n")
        except Exception:
            _abort(context, f"the offline stand-in of the {self.package} plugin failed:\n{traceback.format_exc()}")


def _abort(context: Context, message: str) -> NoReturn:
    context.abort(UNKNOWN_CODE, message)


def _kind(urn: str) -> str:
    """Return the resource type of a URN: the last of its chain of parents."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _own(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def _given(resource: Resource, key: str) -> bool:
    return key in resource.table and resource.table[key].input


def _plain(resource: Resource, key: str) -> bool:
    return not (resource.table[key].computed or resource.table[key].output)


def _sealed(resource: Resource, outputs: Properties) -> Properties:
    """Mark what is secret by nature, such as a generated password."""
    secret = {key for key, prop in resource.table.items() if prop.secret and outputs.get(key) is not None}
    return {key: Secret(value) if key in secret else value for key, value in outputs.items()}
