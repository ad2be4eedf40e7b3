"""The language host's gRPC service: runs programs, policy packs and source-based plugins as processes."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc as pb_grpc
from pulumi.runtime.proto import plugin_pb2

from sandbox.host.processes import Processes, ProgramError
from sandbox.host.program import SHOWN
from sandbox.host.warm import modules_file

MESSAGE_BYTES = 400 << 20  # the engine's own limit
OPTIONS = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]

Context = grpc.ServicerContext


def not_supported(context: Context, what: str, instead: str) -> None:
    """Answer a call that this host does not offer with a sentence instead of `Method not implemented!`."""
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"The sandbox's Python host does not support {what}: {instead}.")


class Host(pb_grpc.LanguageRuntimeServicer):
    """One per command; the engine calls `Run` once for a preview and once more for the update."""

    def __init__(self, engine_address: str) -> None:
        self.engine_address = engine_address
        self.processes = Processes()

    def Handshake(self, request: pb.LanguageHandshakeRequest, context: Context) -> pb.LanguageHandshakeResponse:  # noqa: N802 (gRPC's names)
        self.engine_address = request.engine_address or self.engine_address
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:  # noqa: N802
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(  # noqa: N802
        self, request: pb.GetRequiredPackagesRequest, context: Context
    ) -> pb.GetRequiredPackagesResponse:
        # None by name: the engine then asks for a provider when the first of its resources is registered, and finds
        # the attached one. Naming them here would make it look for plugins on disk.
        return pb.GetRequiredPackagesResponse()

    def GetRequiredPlugins(  # noqa: N802
        self, request: pb.GetRequiredPluginsRequest, context: Context
    ) -> pb.GetRequiredPluginsResponse:
        return pb.GetRequiredPluginsResponse()

    def GetProgramDependencies(  # noqa: N802
        self, request: pb.GetProgramDependenciesRequest, context: Context
    ) -> pb.GetProgramDependenciesResponse:
        found = {str(d.metadata["Name"]): d.version for d in metadata.distributions()}
        return pb.GetProgramDependenciesResponse(
            dependencies=[pb.DependencyInfo(name=name, version=found[name]) for name in sorted(found)]
        )

    def InstallDependencies(  # noqa: N802
        self, request: pb.InstallDependenciesRequest, context: Context
    ) -> Iterator[pb.InstallDependenciesResponse]:
        text = b"Dependencies come from the requirement files (sandbox/bootstrap.sh); nothing to install.\n"
        yield pb.InstallDependenciesResponse(stdout=text)

    def RuntimeOptionsPrompts(  # noqa: N802
        self, request: pb.RuntimeOptionsRequest, context: Context
    ) -> pb.RuntimeOptionsResponse:
        return pb.RuntimeOptionsResponse()

    def About(self, request: pb.AboutRequest, context: Context) -> pb.AboutResponse:  # noqa: N802
        return pb.AboutResponse(executable=interpreter(request.info), version=sys.version.split()[0])

    def Run(self, request: pb.RunRequest, context: Context) -> pb.RunResponse:  # noqa: N802
        info = request.info
        order: dict[str, Any] = {
            "program_directory": info.program_directory,
            "root_directory": info.root_directory,
            "entry_point": info.entry_point,
            "args": list(request.args),
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization or "organization",
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "engine_address": self.engine_address,
            "monitor_address": request.monitor_address,
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "modules_file": str(modules_file(Path(info.program_directory))),
        }
        try:
            code = self.processes.run_program(interpreter(info), order, Path(request.pwd or info.program_directory))
        except ProgramError as error:
            return pb.RunResponse(error=str(error))
        if code == SHOWN:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error=f"The program ended with exit code {code}." if code else "")

    def RunPlugin(self, request: pb.RunPluginRequest, context: Context) -> Iterator[pb.RunPluginResponse]:  # noqa: N802
        folder = request.info.program_directory
        python = interpreter(request.info)
        if request.kind == "analyzer":
            command = [python, "-u", "-m", "pulumi.policy", *request.args, folder]
        else:
            command = [python, "-u", "-m", "pulumi.run.plugin", folder, *request.args]
        environment = dict(entry.split("=", 1) for entry in request.env) or None
        stop = threading.Event()
        context.add_callback(stop.set)
        for stream, data in self.processes.stream(command, request.pwd or None, environment, stop):
            if stream == "exit":
                yield pb.RunPluginResponse(exitcode=int(data))
            elif stream == "stdout":
                yield pb.RunPluginResponse(stdout=data)
            else:
                yield pb.RunPluginResponse(stderr=data)

    def GenerateProgram(self, request: pb.GenerateProgramRequest, context: Context) -> pb.GenerateProgramResponse:  # noqa: N802
        not_supported(context, "writing programs (`import` with code, `convert`)", "use --generate-code=false")
        return pb.GenerateProgramResponse()

    def GenerateProject(self, request: pb.GenerateProjectRequest, context: Context) -> pb.GenerateProjectResponse:  # noqa: N802
        not_supported(context, "`pulumi convert`", "use the official Pulumi CLI for it")
        return pb.GenerateProjectResponse()

    def GeneratePackage(self, request: pb.GeneratePackageRequest, context: Context) -> pb.GeneratePackageResponse:  # noqa: N802
        not_supported(context, "`pulumi package gen-sdk`", "use the official Pulumi CLI for it")
        return pb.GeneratePackageResponse()

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:  # noqa: N802
        self.processes.terminate()
        return empty_pb2.Empty()


def interpreter(info: pb.ProgramInfo) -> str:
    """The Python of the project's `virtualenv` option, else our own."""
    options: dict[str, Any] = dict(info.options) if info.HasField("options") else {}
    folder = options.get("virtualenv")
    if isinstance(folder, str) and folder:
        return os.path.join(info.root_directory, folder, "bin", "python")
    return sys.executable


def leave_with_the_engine() -> None:
    """End when the engine does, whatever ended it: the pipe on standard output then has no reader."""
    poller = select.poll()
    poller.register(1, 0)  # errors and hang-ups are always reported
    poller.poll()
    os._exit(1)


def serve(arguments: Sequence[str]) -> None:
    """Serve until the engine ends; prints the port. Never returns."""
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    host = Host(addresses[-1] if addresses else "")
    server = grpc.server(ThreadPoolExecutor(8), options=OPTIONS)
    pb_grpc.add_LanguageRuntimeServicer_to_server(host, server)  # pyright: ignore[reportArgumentType] (sync servicer)
    port = server.add_insecure_port("127.0.0.1:0")

    def leave(_number: int, _frame: FrameType | None) -> None:
        host.processes.terminate()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    server.start()
    print(port, flush=True)
    threading.Thread(target=leave_with_the_engine, daemon=True).start()
    server.wait_for_termination()
