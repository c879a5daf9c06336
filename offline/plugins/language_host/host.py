"""The language host's gRPC service, as far as `pulumi preview`, `up` and `destroy` need it."""

import json
import os
import sys
from importlib import metadata

from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from offline.plugins.grpc_server import UNIMPLEMENTED_CODE, UNKNOWN_CODE, Context, abort, serve
from offline.plugins.language_host import interpreter, program_runs
from offline.plugins.property_values import from_struct

NO_TYPE_CHECKER = "The offline fake language host runs no type checker and no debugger: remove them from Pulumi.yaml"


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers for one Pulumi engine; at `engine_address` it takes the program's log messages."""

    def __init__(self, engine_address: str) -> None:
        self.engine_address = engine_address
        self.runs = program_runs.ProgramRuns()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=f"v{metadata.version('pulumi')}")

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: Context
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Return the plugins of the Pulumi SDKs that are installed for the program."""
        python = _python(request.info, context)
        return language_pb2.GetRequiredPackagesResponse(packages=interpreter.required_plugins(python))

    def Run(self, request: language_pb2.RunRequest, context: Context) -> language_pb2.RunResponse:
        """Run the program; its output is the host's own, its exit code becomes the answer."""
        if from_struct(request.info.options).get("typechecker") or request.attach_debugger:
            abort(context, UNIMPLEMENTED_CODE, NO_TYPE_CHECKER)
        python = _python(request.info, context)
        environment = {
            **interpreter.activated(python, os.environ),
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [python, "-P", str(program_runs.PROGRAM), *program_runs.arguments(request, self.engine_address)]
        return self.runs.run(command, request.pwd or request.info.program_directory, environment, context)

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        self.runs.interrupt_all()
        return empty_pb2.Empty()


def _python(info: language_pb2.ProgramInfo, context: Context) -> str:
    try:
        return interpreter.find(info.root_directory, from_struct(info.options).get("virtualenv"))
    except interpreter.InterpreterError as error:
        abort(context, UNKNOWN_CODE, str(error))


def main() -> int:
    """Serve the Pulumi engine whose address is the last argument; options such as --tracing have no effect."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(addresses[-1] if addresses else "")
    return serve(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, host)


if __name__ == "__main__":
    sys.exit(main())
