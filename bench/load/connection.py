"""HTTP/1.1 over kept connections at some 30 µs a request: raw bytes out, a C parser in."""

import asyncio
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import httptools


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where one arm's requests go, in turn over its addresses. The request is the same bytes every time."""

    addresses: tuple[tuple[str, int], ...]
    request: bytes


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: bench", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Reply:
    """One answer: status (0 when the connection broke), seconds from the first byte out to the last byte in."""

    status: int
    seconds: float
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.usable = False
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Reply] | None = None
        self._began = 0.0
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._end(0)

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self._body += data

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self._parser.should_keep_alive():
            self.close()
        self._end(self._parser.get_status_code())

    def _end(self, status: int) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Reply(status, perf_counter() - self._began, self._body))

    async def send(self, request: bytes) -> Reply:
        """One request and its whole answer."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._began = perf_counter()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()


class Pool:
    """The kept connections of one target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: dict[tuple[str, int], deque[Connection]] = {address: deque() for address in target.addresses}
        self._turn = 0

    async def fetch(self) -> Reply:
        """One request at the next address. A connection that cannot be made is a reply with status 0."""
        addresses = self._target.addresses
        address = addresses[self._turn % len(addresses)]
        self._turn += 1
        try:
            connection = await self._connection(address)
        except OSError:
            return Reply(0, 0.0)
        reply = await connection.send(self._target.request)
        if connection.usable:
            self._idle[address].append(connection)
        return reply

    async def _connection(self, address: tuple[str, int]) -> Connection:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, *address)
        return connection

    def close(self) -> None:
        """Hang up everywhere."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
