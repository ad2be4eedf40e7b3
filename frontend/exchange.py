"""One incoming request: its trusted headers, its body under limits, the common headers of its reply."""

from __future__ import annotations

import asyncio
import re
import secrets
from time import perf_counter
from typing import TypeVar

from aiohttp import HttpVersion11, web

from frontend.errors import ApiError, bad_request

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BODY_SECONDS = 30.0
_Response = TypeVar("_Response", bound=web.StreamResponse)


class Incoming:
    """A request being answered; ``log`` collects the fields of its access log line."""

    __slots__ = ("closing", "log", "pod", "request", "request_id", "route", "started", "status", "tenant")

    def __init__(self, request: web.BaseRequest, route: str, tenant: str, pod: str, *, closing: bool = False) -> None:
        self.request = request
        self.route = route
        self.tenant = tenant
        self.pod = pod
        self.closing = closing
        self.started = perf_counter()
        self.status = 500
        self.log: dict[str, object] = {}
        given = request.headers.get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)

    def header(self, name: str) -> str | None:
        """A request header, or None."""
        return self.request.headers.get(name)

    async def json_body(self, limit: int) -> bytes:
        """The body, which has to call itself JSON and to be within ``limit`` bytes."""
        kind = self.header("content-type") or ""
        if kind.partition(";")[0].strip().lower() != "application/json":
            shown = kind[:64] or "nothing"
            message = f"Unsupported Content-Type: {shown}. Send JSON with 'Content-Type: application/json'."
            raise ApiError(415, message, code="unsupported_media_type")
        if (self.header("content-encoding") or "identity").lower() != "identity":
            raise ApiError(415, "Compressed request bodies are not supported.", code="unsupported_media_type")
        too_large = ApiError(413, f"The request body is larger than {limit} bytes.", code="request_too_large")
        length = self.request.content_length
        if length is not None and length > limit:
            raise too_large
        await self._invite()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await self.request.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        except TimeoutError:
            raise ApiError(408, "The request body did not arrive in time.", code="timeout") from None
        except web.RequestPayloadError:
            raise bad_request("The request body is not framed as its headers say.") from None

    async def _invite(self) -> None:
        """Answer ``Expect: 100-continue``: curl holds large bodies back for a second without it."""
        if (self.header("expect") or "").lower() == "100-continue" and self.request.version >= HttpVersion11:
            await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # What was written so far is not the reply, and aiohttp counts by this whether one has begun.
            self.request.writer.output_size = 0

    def json(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
        """A JSON reply."""
        self.status = status
        common = self._headers("application/json")
        return self._keep(web.Response(status=status, body=body, headers=common | headers if headers else common))

    def text(self, status: int, body: bytes, kind: str) -> web.Response:
        """A plain reply."""
        self.status = status
        return self._keep(web.Response(status=status, body=body, headers=self._headers(kind)))

    async def start_events(self) -> web.StreamResponse:
        """Begin a stream of server-sent events."""
        self.status = 200
        headers = self._headers("text/event-stream; charset=utf-8")
        headers["Cache-Control"] = "no-cache"
        headers["X-Accel-Buffering"] = "no"  # proxies of nginx's kind would hold the tokens back
        response = self._keep(web.StreamResponse(status=200, headers=headers))
        await response.prepare(self.request)
        return response

    def _keep(self, response: _Response) -> _Response:
        if self.closing:
            # Proxies then stop using this connection, instead of meeting its end in the middle of a request.
            response.force_close()
        return response

    def _headers(self, kind: str) -> dict[str, str]:
        return {"Content-Type": kind, "x-served-by": self.pod, "x-request-id": self.request_id}
