"""The HTTP server: routes, refusals in OpenAI's form, admission, accounting, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from frontend.access_log import AccessLog
from frontend.backend import Backend
from frontend.endpoints import Generator, elapsed_ms
from frontend.errors import ApiError, internal, model_not_found, unavailable
from frontend.exchange import Incoming
from frontend.health import Readiness
from frontend.metrics import CONTENT_TYPE, Metrics, Tenants
from frontend.replies import model_object
from frontend.settings import Settings
from frontend.tokenizer import Tokenizer

CLIENT_CLOSED = 499  # nginx's status for a client that left; it is only ever seen in metrics and logs
_GENERATING = {"/v1/completions": False, "/v1/chat/completions": True}
_READING = ("/v1/models", "/health/live", "/health/ready", "/metrics")
_MODELS = "/v1/models/"


# aiohttp would print tracebacks and pieces of broken requests; what matters is in our own log lines.
_silent = logging.getLogger("frontend.http")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Server:
    """Everything that answers requests on one port."""

    def __init__(self, settings: Settings, tokenizer: Tokenizer, backend: Backend, log: AccessLog) -> None:
        self._settings = settings
        self._backend = backend
        self._log = log
        self._metrics = Metrics(settings.model)
        self._tenants = Tenants(settings.max_tenants)
        self._generator = Generator(settings, tokenizer, backend, self._metrics)
        self._readiness = Readiness(backend)
        self._created = int(time.time())
        self._inflight = 0
        self._last_request = time.monotonic()
        self._runner: web.ServerRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port (also when the settings say 0, any free one)."""
        server = web.Server(
            self._handle,
            access_log=None,
            logger=_silent,
            auto_decompress=False,  # compressed bodies are refused: no client of ours sends them, bombs are
            request_factory=self._request,
            # A client that leaves cancels its handler, which closes the connection to the engine.
            handler_cancellation=True,
            # Longer than Envoy keeps an idle connection (1 h): the side that sends requests has to close first.
            keepalive_timeout=3900.0,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)  # the grace is over by then: see drain
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, backlog=1024)
        await site.start()
        address = self._runner.addresses[0]
        self._log.line("listening", host=address[0], port=address[1], model=self._settings.model)
        return int(address[1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._backend.close()
        self._log.flush()

    async def drain(self) -> None:
        """Say "not ready" but go on answering, until it has been quiet or the grace has ended."""
        self._readiness.draining = True
        self._log.line("draining", inflight=self._inflight, seconds=self._settings.drain_seconds)
        begun = time.monotonic()
        while (now := time.monotonic()) - begun < self._settings.drain_seconds:
            quiet_since = max(begun, self._last_request)
            if self._inflight == 0 and now - quiet_since >= self._settings.drain_quiet_seconds:
                break
            await asyncio.sleep(0.05)
        self._log.line("drained", inflight=self._inflight, seconds=round(time.monotonic() - begun, 2))

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        limit = self._settings.max_body_bytes
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=limit)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        chat = _GENERATING.get(path)
        tenant = self._tenants.label(request.headers.get("x-client-id"))
        route = _route(path) if chat is None else path
        incoming = Incoming(request, route, tenant, self._settings.pod, closing=self._readiness.draining)
        if chat is None:
            return await self._handle_reading(incoming)
        self._last_request = time.monotonic()
        self._inflight += 1
        self._metrics.inflight(self._inflight)
        try:
            return await self._answer(incoming, chat=chat)
        except (asyncio.CancelledError, ConnectionError):
            incoming.status = CLIENT_CLOSED
            raise
        finally:
            self._inflight -= 1
            self._metrics.inflight(self._inflight)
            self._book(incoming)

    async def _answer(self, incoming: Incoming, *, chat: bool) -> web.StreamResponse:
        try:
            if incoming.request.method != "POST":
                raise _wrong_method(incoming.request, "POST")
            if self._inflight > self._settings.max_inflight:
                raise unavailable("The server is overloaded, please retry shortly.", "MAX_INFLIGHT reached")
            return await self._generator.answer(incoming, chat=chat)
        except ApiError as error:
            return _refuse(incoming, error)
        except ConnectionError:
            raise
        except Exception as error:
            if incoming.status == 200:
                raise  # the head is out: breaking the connection is the only honest end
            # The type and place of a bug, never its words: they could hold a prompt.
            return _refuse(incoming, internal(_place(error)))

    async def _handle_reading(self, incoming: Incoming) -> web.StreamResponse:
        try:
            response = await self._read(incoming)
        except ApiError as error:
            response = _refuse(incoming, error)
        if incoming.route not in _READING[1:]:  # probes and scrapes would drown the rest
            self._book(incoming)
        return response

    async def _read(self, incoming: Incoming) -> web.StreamResponse:
        request, path = incoming.request, incoming.request.path
        known = path in _READING or path.startswith(_MODELS)
        if known and request.method not in ("GET", "HEAD"):
            raise _wrong_method(request, "GET")
        entry = model_object(self._settings.model, self._created)
        if path == "/health/live":
            return incoming.json(200, b'{"status":"alive"}')
        if path == "/health/ready":
            problem = await self._readiness.problem()
            status = {"status": "ready"} if problem is None else {"status": "not ready", "reason": problem}
            return incoming.json(200 if problem is None else 503, orjson.dumps(status))
        if path == "/metrics":
            return incoming.text(200, self._metrics.exposition(), CONTENT_TYPE)
        if path == "/v1/models":
            return incoming.json(200, orjson.dumps({"object": "list", "data": [entry]}))
        if path.startswith(_MODELS):
            if path.removeprefix(_MODELS) != self._settings.model:
                raise model_not_found(path.removeprefix(_MODELS))
            return incoming.json(200, orjson.dumps(entry))
        message = f"Unknown request URL: {request.method} {path[:128]}. Please check the URL for typos."
        raise ApiError(404, message, code="unknown_url")

    def _book(self, incoming: Incoming) -> None:
        milliseconds = elapsed_ms(incoming.started)
        self._metrics.request(incoming.tenant, incoming.route, incoming.status, milliseconds / 1000)
        self._log.line(
            "request",
            request_id=incoming.request_id,
            tenant=incoming.tenant,
            model=self._settings.model,
            method=incoming.request.method,
            route=incoming.route,
            status=incoming.status,
            duration_ms=milliseconds,
            **incoming.log,
        )


def _route(path: str) -> str:
    """A path as a metrics label: one of a few."""
    if path in _READING:
        return path
    return "/v1/models/{model}" if path.startswith(_MODELS) else "other"


def _refuse(incoming: Incoming, error: ApiError) -> web.Response:
    incoming.log |= {"error": error.code, "detail": error.detail}
    return incoming.json(error.status, error.body(), error.headers())


def _wrong_method(request: web.BaseRequest, allowed: str) -> ApiError:
    message = f"Not allowed to {request.method} on {request.path}. Use {allowed}."
    return ApiError(405, message, code="method_not_supported")


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__ + where


async def serve(
    settings: Settings, tokenizer: Tokenizer, backend: Backend, started: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    server = Server(settings, tokenizer, backend, AccessLog())
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    port = await server.start()
    if started is not None:
        started(port)
    await asked.wait()
    await server.drain()
    await server.stop()
