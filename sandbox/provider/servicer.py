"""The gRPC service around a Provider: the engine's messages to plain Python and back.

All provider instances of a package share one server (PULUMI_DEBUG_PROVIDERS names one port a package), but each
holds its own connection: the peer's address says which instance asks.
"""

import json
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.provider.contract import (
    Changes,
    Constructor,
    Failure,
    Invoker,
    Naming,
    NotReadyError,
    Provider,
    ProviderError,
    ResourceType,
    Session,
    Task,
)
from sandbox.provider.differences import top
from sandbox.provider.engine import EngineLog
from sandbox.provider.values import AssetError, decode, encode

Context = grpc.ServicerContext
T = TypeVar("T")


@dataclass
class Instance:
    """One provider instance, known by its connection."""

    engine: EngineLog | None = None
    session: Session | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One package's service."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._components = isinstance(provider, Constructor)
        self._instances: dict[str, Instance] = {}
        self._lock = threading.Lock()

    # -- the instance ------------------------------------------------------------------------------------------------

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: Context) -> pb.ProviderHandshakeResponse:  # noqa: N802 (gRPC's names)
        self._instance(context).engine = EngineLog(request.engine_address)
        # Secrets come opened; the engine itself closes every output whose input was secret. Components must take them,
        # and other resources, as they are.
        return pb.ProviderHandshakeResponse(
            supports_autonaming_configuration=True, accept_secrets=self._components, accept_resources=self._components
        )

    def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> empty_pb2.Empty:  # noqa: N802
        self._instance(context).engine = EngineLog(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def GetSchema(self, request: pb.GetSchemaRequest, context: Context) -> pb.GetSchemaResponse:  # noqa: N802
        schema = {"name": self.provider.name, "version": self.provider.version, "resources": {}}
        return pb.GetSchemaResponse(schema=json.dumps(schema))

    def GetMapping(self, request: pb.GetMappingRequest, context: Context) -> pb.GetMappingResponse:  # noqa: N802
        return pb.GetMappingResponse()

    def GetMappings(self, request: pb.GetMappingsRequest, context: Context) -> pb.GetMappingsResponse:  # noqa: N802
        return pb.GetMappingsResponse()

    def CheckConfig(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:  # noqa: N802
        failures = self._guard(context, lambda: self.provider.check_config(decode(request.news)))
        return pb.CheckResponse(inputs=request.news, failures=_failures(failures))

    def DiffConfig(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:  # noqa: N802
        old = decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
        return _changes(self._guard(context, lambda: self.provider.diff_config(old, decode(request.news))))

    def Configure(self, request: pb.ConfigureRequest, context: Context) -> pb.ConfigureResponse:  # noqa: N802
        config = self._guard(context, lambda: decode(request.args))
        self._instance(context).session = self._guard(context, lambda: self.provider.configure(config))
        return pb.ConfigureResponse(
            supportsPreview=True,
            supports_autonaming_configuration=True,
            acceptSecrets=self._components,
            acceptResources=self._components,
        )

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:  # noqa: N802
        self._instance(context).cancelled.set()
        return empty_pb2.Empty()

    # -- resources ---------------------------------------------------------------------------------------------------

    def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:  # noqa: N802
        naming = Naming(proposed=request.autonaming.proposed_name or None, seed=request.randomSeed)

        def work() -> pb.CheckResponse:
            olds, news = decode(request.olds), decode(request.news)
            try:
                inputs, failures = self._rules(context, request.urn).check(
                    self._task(context, request.urn, 0.0, preview=False), olds, news, naming
                )
            except ProviderError as error:  # a refusal is shown with the resource, without "rpc error"
                return pb.CheckResponse(inputs=request.news, failures=_failures([Failure("", str(error))]))
            return pb.CheckResponse(inputs=encode(inputs), failures=_failures(failures))

        return self._guard(context, work)

    def Diff(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:  # noqa: N802
        def work() -> pb.DiffResponse:
            state, old, new = decode(request.olds), decode(request.old_inputs), decode(request.news)
            task = self._task(context, request.urn, 0.0, preview=True)
            return _changes(self._rules(context, request.urn).diff(task, request.id, state, old, new))

        return self._guard(context, work)

    def Create(self, request: pb.CreateRequest, context: Context) -> pb.CreateResponse:  # noqa: N802
        def work() -> pb.CreateResponse:
            task = self._task(context, request.urn, request.timeout, preview=request.preview)
            identifier, outputs = self._rules(context, request.urn).create(task, decode(request.properties))
            return pb.CreateResponse(id=identifier, properties=encode(outputs))

        return self._guard(context, work)

    def Update(self, request: pb.UpdateRequest, context: Context) -> pb.UpdateResponse:  # noqa: N802
        def work() -> pb.UpdateResponse:
            task = self._task(context, request.urn, request.timeout, preview=request.preview)
            state, old, new = decode(request.olds), decode(request.old_inputs), decode(request.news)
            outputs = self._rules(context, request.urn).update(task, request.id, state, old, new)
            return pb.UpdateResponse(properties=encode(outputs))

        return self._guard(context, work)

    def Read(self, request: pb.ReadRequest, context: Context) -> pb.ReadResponse:  # noqa: N802
        def work() -> pb.ReadResponse:
            task = self._task(context, request.urn, request.timeout, preview=False)
            state, inputs = decode(request.properties), decode(request.inputs)
            live = self._rules(context, request.urn).read(task, request.id, state, inputs)
            if live is None:
                return pb.ReadResponse()
            return pb.ReadResponse(id=live.identifier, properties=encode(live.outputs), inputs=encode(live.inputs))

        return self._guard(context, work)

    def Delete(self, request: pb.DeleteRequest, context: Context) -> empty_pb2.Empty:  # noqa: N802
        def work() -> empty_pb2.Empty:
            task = self._task(context, request.urn, request.timeout, preview=False)
            self._rules(context, request.urn).delete(task, request.id, decode(request.properties))
            return empty_pb2.Empty()

        return self._guard(context, work)

    def Invoke(self, request: pb.InvokeRequest, context: Context) -> pb.InvokeResponse:  # noqa: N802
        # Functions of a cloud answer for the region of the provider that asks.
        session = self._instance(context).session
        asked = session if isinstance(session, Invoker) else self.provider
        result = self._guard(context, lambda: asked.invoke(request.tok, decode(request.args)))
        answer: dict[str, Any] = {"return": encode(result)}  # a keyword of Python
        return pb.InvokeResponse(**answer)

    def Construct(self, request: pb.ConstructRequest, context: Context) -> pb.ConstructResponse:  # noqa: N802
        if not isinstance(self.provider, Constructor):
            self._abort(context, f"{request.type} is a component that has no rule in the sandbox's provider.")
        constructor, engine = self.provider, self._instance(context).engine
        address = engine.address if engine else ""
        return self._guard(context, lambda: constructor.construct(request, address))

    def Call(self, request: pb.CallRequest, context: Context) -> pb.CallResponse:  # noqa: N802
        self._abort(context, f"{request.tok} is a method that has no rule in the sandbox's provider.")

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _instance(self, context: Context) -> Instance:
        with self._lock:
            return self._instances.setdefault(context.peer(), Instance())

    def _rules(self, context: Context, urn: str) -> ResourceType:
        session = self._instance(context).session
        if session is None:
            raise ProviderError(f"The provider for {urn} has not been configured on this connection.")
        return session.resource_type(_type(urn))

    def _task(self, context: Context, urn: str, timeout: float, *, preview: bool) -> Task:
        instance = self._instance(context)
        engine = instance.engine

        def status(text: str) -> None:
            if engine:
                engine.status(urn, text)

        def warn(text: str) -> None:
            if engine:
                engine.warn(urn, text)

        return Task(
            urn=urn,
            type=_type(urn),
            name=urn.rpartition("::")[2],
            status=status,
            warn=warn,
            cancelled=instance.cancelled,
            timeout=timeout,
            preview=preview,
        )

    def _guard(self, context: Context, work: Callable[[], T]) -> T:
        """Run `work`; what it raises becomes one sentence for the person."""
        try:
            return work()
        except NotReadyError as error:
            _abort_partly(context, error)
        except (ProviderError, AssetError) as error:
            self._abort(context, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._abort(context, f"the sandbox's {self.provider.name} provider failed: {type(error).__name__}: {error}")

    def _abort(self, context: Context, text: str) -> NoReturn:
        context.abort(grpc.StatusCode.UNKNOWN, text)


def _abort_partly(context: Context, error: NotReadyError) -> NoReturn:
    """The rich error that tells the engine to keep the object in its state."""
    detail = any_pb2.Any()
    detail.Pack(
        pb.ErrorResourceInitFailed(
            id=error.identifier,
            properties=encode(error.outputs),
            inputs=encode(error.inputs),
            reasons=error.reasons,
        )
    )
    code: tuple[int, str] = grpc.StatusCode.UNKNOWN.value
    status = status_pb2.Status(code=code[0], message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _failures(failures: list[Failure]) -> list[pb.CheckFailure]:
    return [pb.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures]


def _changes(changes: Changes) -> pb.DiffResponse:
    kinds: dict[str, Any] = {}
    for path, kind in changes.paths.items():
        name = kind.upper() + ("_REPLACE" if path in changes.replace else "")
        kinds[path] = pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(name), inputDiff=True)
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if kinds else pb.DiffResponse.DIFF_NONE,
        diffs=sorted({top(path) for path in changes.paths}),
        replaces=sorted({top(path) for path in changes.replace}),
        detailedDiff=kinds,
        hasDetailedDiff=True,
        deleteBeforeReplace=changes.delete_first,
    )
