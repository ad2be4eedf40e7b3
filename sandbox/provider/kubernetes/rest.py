"""The API server's REST interface: one pool of warm connections, retries with a deadline, errors as sentences."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError

from components.kubeconfig import tls
from sandbox.provider.contract import ProviderError
from sandbox.provider.kubernetes.kubeconfig import SETTING, Access

CONNECTIONS = 32
TIMEOUT = urllib3.Timeout(connect=5, read=60)  # seconds
PATIENCE = 60.0  # seconds that a busy or restarting API server is given
FIRST_PATIENCE = 4.0  # seconds for a server that has never answered: the address is probably wrong
BUSY = frozenset({429, 500, 502, 503, 504})
# A 500 of the API server is often final (a webhook's verdict, a conversion error); these texts are not.
PASSING = ("etcdserver", "connection refused", "context deadline exceeded", "EOF", "leader changed", "Timeout")

Json = dict[str, Any]


class ApiError(ProviderError):
    """The API server's own answer. `code` is the HTTP status; `causes` its list of fields and messages."""

    def __init__(self, code: int, message: str, reason: str = "", causes: list[Json] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.causes = code, message, reason, causes or []


class UnreachableError(ProviderError):
    """Nothing answers at the kubeconfig's address."""


class Cancelled(ProviderError):  # noqa: N818 (not an error of anybody's)
    """The person interrupted the update."""


class Rest:
    """One cluster's API server."""

    def __init__(self, access: Access) -> None:
        self.access = access
        parts = urlsplit(access.server)
        self._prefix = parts.path
        self._headers: dict[str, str] = {"Accept": "application/json", "User-Agent": "llmops-sandbox"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        elif access.basic:
            pair = base64.b64encode(":".join(access.basic).encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        host, self._answered = parts.hostname or "", False
        if parts.scheme == "http":
            self._pool: Any = urllib3.HTTPConnectionPool(host, parts.port or 80, timeout=TIMEOUT, maxsize=CONNECTIONS)
        else:
            self._pool = urllib3.HTTPSConnectionPool(
                host,
                parts.port or 443,
                timeout=TIMEOUT,
                maxsize=CONNECTIONS,
                ssl_context=_tls(access),
                assert_hostname=access.server_name if access.verify else False,
                server_hostname=access.server_name,
            )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str | None = None,
        warn: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Json:
        """The parsed answer. Retries what passes; raises ApiError, UnreachableError or Cancelled.

        Every request made here may be repeated: applies and deletes are idempotent on the server.
        """
        url = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        headers = dict(self._headers)
        data: bytes | None = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if accept:
            headers["Accept"] = accept
        began, pause = time.monotonic(), 0.2
        while True:
            if cancelled is not None and cancelled.is_set():
                raise Cancelled("interrupted")
            error: ProviderError
            try:
                answer = self._pool.request(method, url, body=data, headers=headers, retries=False)
                self._answered = True
                if answer.status < 400:
                    _warnings(answer.headers, warn)
                    return json.loads(answer.data) if answer.data else {}
                error = _api_error(answer.status, answer.data)
                patience = PATIENCE if _passing(error) else 0.0
                pause = max(pause, _retry_after(answer.headers))
            except HTTPError as problem:
                error = self._unreachable(problem)
                patience = 0.0 if isinstance(problem, SSLError) else PATIENCE if self._answered else FIRST_PATIENCE
            if time.monotonic() - began + pause > patience:
                raise error
            _pause(pause, cancelled)
            pause = min(pause * 2, 3.0)

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """A plain-text answer (a container's log), "" where there is none."""
        url = f"{self._prefix}{path}?{urlencode(query)}"
        try:
            answer = self._pool.request("GET", url, headers=self._headers, retries=False, timeout=5)
        except HTTPError:
            return ""
        return answer.data.decode(errors="replace") if answer.status == 200 else ""

    def _unreachable(self, problem: HTTPError) -> UnreachableError:
        cause: BaseException = problem
        if isinstance(problem, MaxRetryError) and problem.reason:
            cause = problem.reason
        if isinstance(cause, SSLError):
            why = f"TLS failed ({_short(cause)})"
        elif isinstance(cause, NewConnectionError):
            why = _short(cause)
        else:
            why = _short(cause) or type(cause).__name__
        return UnreachableError(
            f"The Kubernetes API server at {self.access.server} (context {self.access.context!r}) does not answer: "
            f"{why}. Start it (`make up` for the sandbox) or check {SETTING}."
        )


def segment(name: str) -> str:
    """`name` as one segment of a path."""
    return quote(name, safe="")


def _tls(access: Access) -> ssl.SSLContext:
    try:
        return tls(access)
    except (ssl.SSLError, ValueError) as error:
        raise ProviderError(
            f"The certificates in the kubeconfig are not usable ({_short(error)}): check {SETTING}."
        ) from None


def _api_error(status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
        message, details = str(answer["message"]), answer.get("details") or {}
        return ApiError(status, message, str(answer.get("reason", "")), details.get("causes"))
    except (ValueError, KeyError, TypeError, AttributeError):
        text = " ".join(data.decode(errors="replace").split())[:300]
        return ApiError(status, text or f"HTTP {status}")


def _passing(error: ApiError) -> bool:
    if error.code == 500:
        return any(text in error.message for text in PASSING)
    if error.code == 409:  # two writers at once; an apply's conflict of ownership has causes and stays
        return not error.causes and "has been modified" in error.message
    return error.code in BUSY


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(float(headers.get("Retry-After", 0)), 5.0)
    except ValueError:
        return 0.0


def _warnings(headers: Any, warn: Callable[[str], None] | None) -> None:
    """The server's own warnings: `299 - "text"`."""
    if warn:
        for value in headers.getlist("Warning"):
            text = value.partition('"')[2].rpartition('"')[0]
            warn(text.replace('\\"', '"') or value)


def _short(error: BaseException) -> str:
    text = str(error.args[-1]) if error.args else str(error)
    return (
        text.rpartition("Failed to establish a new connection: ")[2].rpartition("[Errno")[2].partition("] ")[2]
        or (" ".join(text.split())[:200])
    )


def _pause(seconds: float, cancelled: threading.Event | None) -> None:
    if cancelled is None:
        time.sleep(seconds)
    elif cancelled.wait(seconds):
        raise Cancelled("interrupted")
