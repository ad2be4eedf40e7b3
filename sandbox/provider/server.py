"""The gRPC servers of all packages. They listen at once; the packages' code is loaded meanwhile.

The engine needs a provider about half a second after it starts, and importing the SDK takes almost that long: by
listening first, the two happen at the same time.
"""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from sandbox.provider.contract import Provider

MESSAGE_BYTES = 400 << 20  # the engine's own limit
OPTIONS = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
WORKERS = 64  # operations wait in their threads; the engine runs at most this many by default on 16 cores
PACKAGES = ("kubernetes", "random")
# Loaded when the first call comes: stacks without a cloud do not pay for them.
CLOUDS = ("aws", "gcp", "eks")


class _Collector:
    """Stands where the generated code expects a server, and keeps the handlers it adds."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        self.handlers += handlers

    def add_registered_method_handlers(self, _service: str, _handlers: Any) -> None:
        """The same handlers again, for newer runtimes."""


class _Lazy(grpc.GenericRpcHandler):
    """Passes calls on to a service as soon as it is loaded; loads it, where nobody else does."""

    def __init__(self, service: "Future[list[grpc.GenericRpcHandler]]", load: Callable[[], None] | None = None) -> None:
        self._service = service
        self._load = load
        self._lock = threading.Lock()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        if self._load is not None:
            with self._lock:
                if not self._service.done():
                    self._load()
        for handler in self._service.result():
            if found := handler.service(handler_call_details):
                return found
        return None


def _handlers(package: str) -> list[grpc.GenericRpcHandler]:
    from pulumi.runtime.proto import provider_pb2_grpc

    from sandbox.provider.servicer import Servicer

    collector: Any = _Collector()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(_provider(package)), collector)
    return collector.handlers


def _provider(package: str) -> "Provider":
    if package == "random":
        from sandbox.provider.password import RandomProvider

        return RandomProvider()
    if package == "kubernetes":
        from sandbox.provider.kubernetes.provider import KubernetesProvider

        return KubernetesProvider()
    if package == "eks":
        from sandbox.provider.cloud.eks.provider import EksProvider

        return EksProvider()
    from sandbox.provider.cloud.provider import CloudProvider

    return CloudProvider(package)


class Servers:
    """Every package's server on a loopback port of its own."""

    def __init__(self, packages: tuple[str, ...] = (*PACKAGES, *CLOUDS)) -> None:
        self.ports: dict[str, int] = {}
        self._servers: list[grpc.Server] = []
        pending: list[tuple[str, Future[list[grpc.GenericRpcHandler]]]] = []
        for package in packages:
            service: Future[list[grpc.GenericRpcHandler]] = Future()
            # SO_REUSEPORT would let two sandboxes answer on one port.
            server = grpc.server(ThreadPoolExecutor(WORKERS), options=[*OPTIONS, ("grpc.so_reuseport", 0)])
            later = functools.partial(_settle, service, functools.partial(_handlers, package))
            server.add_generic_rpc_handlers((_Lazy(service, later if package in CLOUDS else None),))
            self.ports[package] = server.add_insecure_port("127.0.0.1:0")
            server.start()
            self._servers.append(server)
            if package not in CLOUDS:
                pending.append((package, service))
        threading.Thread(target=self._load, args=(pending,), daemon=True).start()

    @staticmethod
    def _load(pending: "list[tuple[str, Future[list[grpc.GenericRpcHandler]]]]") -> None:
        for package, service in pending:
            _settle(service, lambda package=package: _handlers(package))

    def environment(self) -> str:
        """The value of PULUMI_DEBUG_PROVIDERS."""
        return ",".join(f"{package}:{port}" for package, port in self.ports.items())

    def wait(self) -> None:
        """Until the process is ended."""
        for server in self._servers:
            server.wait_for_termination()


def _settle(service: "Future[list[grpc.GenericRpcHandler]]", load: Callable[[], list[grpc.GenericRpcHandler]]) -> None:
    try:
        service.set_result(load())
    except BaseException as error:  # shown by whoever waits for it
        service.set_exception(error)
