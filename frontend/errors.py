"""OpenAI's error format: every refusal a client can meet, with the status and code its SDKs map to classes."""

from __future__ import annotations

import orjson

RETRY_AFTER_SECONDS = 1  # short: a full queue drains in seconds, and SDKs back off further on their own


class ApiError(Exception):
    """A refusal that becomes ``{"error": {message, type, param, code}}``.

    ``detail`` is for the access log only: it may name hosts and Triton's own words, which clients never see.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind
        self.detail = detail

    def body(self) -> bytes:
        """The reply body as JSON."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})

    def headers(self) -> dict[str, str]:
        """Extra reply headers: when it is worth trying again."""
        return {"retry-after": str(RETRY_AFTER_SECONDS)} if self.status in (429, 503) else {}


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A 400 that names the field at fault."""
    return ApiError(400, message, param=param, code=code)


def unsupported(param: str, message: str | None = None) -> ApiError:
    """A 400 for a field that would change the output and that this server does not implement."""
    return bad_request(message or f"'{param}' is not supported by this server.", param, "unsupported_parameter")


def model_not_found(name: str) -> ApiError:
    """A 404 for a model this server does not serve."""
    shown = name if len(name) <= 64 else name[:61] + "..."
    return ApiError(404, f"The model '{shown}' does not exist.", param="model", code="model_not_found")


def context_length_exceeded(tokens: int, limit: int, param: str) -> ApiError:
    """A 400 for a prompt longer than the engine was built for; both numbers in tokens."""
    message = (
        f"This model's maximum prompt length is {limit} tokens, however your prompt has {tokens} tokens. "
        "Please reduce the length of the prompt."
    )
    return bad_request(message, param, "context_length_exceeded")


def unavailable(message: str, detail: str | None = None, code: str = "overloaded") -> ApiError:
    """A 503: try again shortly, here or at another replica."""
    return ApiError(503, message, code=code, kind="server_error", detail=detail)


def timed_out(detail: str) -> ApiError:
    """A 504: the engine stayed silent for too long."""
    return ApiError(504, "The model did not answer in time.", code="timeout", kind="server_error", detail=detail)


def internal(detail: str) -> ApiError:
    """A 500 whose cause is told to the log, not to the client."""
    message = "The server had an error while processing your request."
    return ApiError(500, message, code="internal_error", kind="server_error", detail=detail)
