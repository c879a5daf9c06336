"""The language host's gRPC service. What the engine asks of it only to write code or packages is left unimplemented."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from offline.plugins.language import interpreter, packages, running
from offline.plugins.rpc import UNIMPLEMENTED_CODE, UNKNOWN_CODE, Context
from offline.plugins.serving import serve
from offline.plugins.wire import from_struct


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers for one engine; `engine_address` is where the program reports to."""

    def __init__(self, engine_address: str = "") -> None:
        self.engine_address = engine_address
        self.programs = running.Programs()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: Context
    ) -> language_pb2.LanguageHandshakeResponse:
        self.engine_address = request.engine_address or self.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=packages.version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: Context
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Name the plugins of the Pulumi packages the program's interpreter has installed."""
        python = _python(request.info, context)
        return language_pb2.GetRequiredPackagesResponse(packages=packages.required(packages.site_folders(python)))

    def Run(self, request: language_pb2.RunRequest, context: Context) -> language_pb2.RunResponse:
        """Run the program; its output goes where the engine reads it, its way of ending becomes the answer."""
        options = from_struct(request.info.options)
        if options.get("typechecker"):
            context.abort(
                UNIMPLEMENTED_CODE,
                "this stand-in of the language host runs no type checker: remove `typechecker` from Pulumi.yaml",
            )
        if request.attach_debugger:
            context.abort(UNIMPLEMENTED_CODE, "this stand-in of the language host attaches no debugger")
        python = _python(request.info, context)
        environment = {
            **interpreter.environment(python, os.environ),
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [str(python), "-P", str(running.PROGRAM), *running.arguments(request, self.engine_address)]
        return self.programs.run(command, environment, context)

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        self.programs.interrupt()
        return empty_pb2.Empty()

    def About(self, request: language_pb2.AboutRequest, context: Context) -> language_pb2.AboutResponse:
        python = _python(request.info, context)
        asked = [str(python), "-c", "import platform; print(platform.python_version())"]
        version = subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip()  # noqa: S603 - the project's interpreter
        return language_pb2.AboutResponse(executable=str(python), version=version)

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: Context
    ) -> language_pb2.GetProgramDependenciesResponse:
        found = packages.installed(packages.site_folders(_python(request.info, context)))
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: Context
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: Context
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Install requirements.txt into the program's virtual environment, made when it is not there."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"Installing dependencies...\n\n")
        try:
            for line in interpreter.install(Path(request.info.program_directory), _virtualenv(request.info)):
                yield language_pb2.InstallDependenciesResponse(stdout=line)
        except interpreter.InterpreterError as error:
            context.abort(UNKNOWN_CODE, str(error))
        yield language_pb2.InstallDependenciesResponse(stdout=b"Finished installing dependencies\n\n")


def main() -> int:
    """Serve the engine whose address is the last argument; options such as --tracing are of no use here."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(addresses[-1] if addresses else "")
    return serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server))


def _python(info: language_pb2.ProgramInfo, context: Context) -> Path:
    try:
        return interpreter.find(_virtualenv(info))
    except interpreter.InterpreterError as error:
        context.abort(UNKNOWN_CODE, str(error))


def _virtualenv(info: language_pb2.ProgramInfo) -> Path | None:
    named = from_struct(info.options).get("virtualenv")
    return Path(info.root_directory, named) if named else None


if __name__ == "__main__":
    sys.exit(main())
