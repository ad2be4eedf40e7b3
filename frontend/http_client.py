"""A small HTTP/1.1 client for the Triton next door: keep-alive, streaming with back-pressure, cancellation by closing.

Triton stops a generation when its connection closes, so a cancelled exchange closes its connection and a finished
one gives it back. A general client was measured at seven times the CPU time of this one a request.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, cast

import httptools

_PAUSE_BYTES = 256 * 1024
"""Unread reply bytes beyond which Triton's socket is no longer read: a slow client must not fill our memory."""
_SWEEP_SECONDS = 1.0


class TransportError(Exception):
    """The connection failed. ``fresh`` is false when a kept connection had died before any reply byte came."""

    def __init__(self, message: str, *, fresh: bool = True) -> None:
        super().__init__(message)
        self.fresh = fresh


class SilenceError(TransportError):
    """The server sent nothing for longer than the timeout."""


class Connection(asyncio.Protocol):
    """One keep-alive connection; serves one exchange at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: TransportError | None = None
        self._headers_done = False
        self._answered = False
        self._keep_alive = False
        self.complete = True
        self.used = False
        self.last_activity = 0.0

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without being subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.last_activity = self._loop.time()
        self._answered = True
        if self._parser is None or self.complete:
            self._fail("it sent data that nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"it sent broken HTTP ({error})")
            return
        if self._buffered > _PAUSE_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.complete and self._error is None:
            message = f"the connection closed ({exc})" if exc else "the connection closed"
            self._error = TransportError(message, fresh=self._answered or not self.used)
        self._wake()

    # httptools callbacks
    def on_headers_complete(self) -> None:
        self._headers_done = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._keep_alive = self._parser.should_keep_alive()
        self.complete = True

    # the exchange
    @property
    def open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._error is None

    @property
    def reusable(self) -> bool:
        """Whether the exchange ended cleanly and the server keeps the connection."""
        return self.complete and self._keep_alive and not self._chunks and self.open

    def send(self, request: bytes) -> None:
        """Start an exchange."""
        if self._transport is None:
            raise TransportError("the connection closed", fresh=not self.used)
        self._parser = httptools.HttpResponseParser(self)
        self._headers_done = self._answered = self._keep_alive = self.complete = False
        self.last_activity = self._loop.time()
        self._transport.write(request)

    async def status(self) -> int:
        """Wait for the reply's head."""
        while not self._headers_done:
            await self._wait()
        assert self._parser is not None
        return self._parser.get_status_code()

    async def read(self) -> bytes:
        """All body bytes that have come since the last call; waits for some; b"" at the end."""
        while not self._chunks:
            if self.complete:
                return b""
            await self._wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self.last_activity = self._loop.time()
            self._transport.resume_reading()
        return data

    async def read_all(self) -> bytes:
        """The rest of the body."""
        parts: list[bytes] = []
        while part := await self.read():
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close at once: bytes not yet sent are dropped, and Triton sees the client gone."""
        if self._transport is not None:
            self._transport.abort()

    def expire(self, before: float) -> None:
        """Fail an exchange in which nothing has come since ``before`` while somebody waits."""
        if self._waiter is not None and not self.complete and self.last_activity < before:
            self._error = SilenceError("it stayed silent")
            self.close()
            self._wake()

    def _fail(self, message: str) -> None:
        self._error = TransportError(message)
        self.close()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None and not self.complete:
            raise self._error


class HttpClient:
    """A pool of connections to one address; times in seconds."""

    def __init__(self, host: str, port: int, *, connect_timeout: float, silence_timeout: float) -> None:
        self._address = (host, port)
        self._host = f"{host}:{port}".encode()
        self._connect_timeout = connect_timeout
        self._silence_timeout = silence_timeout
        self._idle: list[Connection] = []
        self._active: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def post(self, path: str, body: bytes) -> Exchange:
        """A JSON POST; enter the exchange to send it."""
        head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return Exchange(self, head % (path.encode(), self._host, len(body)) + body)

    def get(self, path: str) -> Exchange:
        """A GET; enter the exchange to send it."""
        return Exchange(self, b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path.encode(), self._host))

    async def acquire(self) -> Connection:
        """A connection that looks alive, the most recently used first; new ones as needed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                connection.used = True
                break
        else:
            connection = await self._connect()
        self._active.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        return connection

    def release(self, connection: Connection) -> None:
        """Keep the connection when its exchange ended cleanly, else close it."""
        self._active.discard(connection)
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._idle, *self._active):
            connection.close()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(lambda: Connection(loop), *self._address)
        except (OSError, TimeoutError) as error:
            raise TransportError(f"cannot connect ({error})") from None
        return connection

    def _sweep(self) -> None:
        # One timer for all connections instead of one a token.
        loop = asyncio.get_running_loop()
        before = loop.time() - self._silence_timeout
        for connection in list(self._active):
            connection.expire(before)
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep) if self._active else None


class Exchange:
    """One request and its reply, as an async context manager; leaving early closes the connection."""

    def __init__(self, client: HttpClient, request: bytes) -> None:
        self._client = client
        self._request = request
        self._connection: Connection | None = None
        self.status = 0

    async def __aenter__(self) -> Self:
        while True:
            connection = await self._client.acquire()
            self._connection = connection
            try:
                connection.send(self._request)
                self.status = await connection.status()
                return self
            except TransportError as error:
                self._client.release(connection)
                if error.fresh:
                    raise
                # The server had closed a kept connection before it saw this request: send it on another one.
            except BaseException:
                self._client.release(connection)
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._client.release(self._connection)

    async def read(self) -> bytes:
        """Body bytes as they come; b"" at the end."""
        assert self._connection is not None
        return await self._connection.read()

    async def read_all(self) -> bytes:
        """The whole rest of the body."""
        assert self._connection is not None
        return await self._connection.read_all()
