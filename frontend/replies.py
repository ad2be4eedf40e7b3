"""OpenAI's reply objects, written as bytes once a reply instead of as dictionaries once a token."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import orjson

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in and out, counted as the engine counts them (an end token is a generated token)."""

    prompt_tokens: int
    completion_tokens: int

    def body(self) -> bytes:
        """The ``usage`` object."""
        total = self.prompt_tokens + self.completion_tokens
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
            self.prompt_tokens,
            self.completion_tokens,
            total,
        )


class Reply:
    """The fixed parts of one reply, as whole object or as server-sent events."""

    def __init__(self, *, chat: bool, model: str, fingerprint: str, stream: bool, include_usage: bool) -> None:
        self._chat = chat
        kind = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"
        head = {
            "id": ("chatcmpl-" if chat else "cmpl-") + secrets.token_hex(12),
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        self._head = orjson.dumps(head)[:-1]
        self._open = b"data: " + self._head + b',"choices":[{"index":0,'
        # With include_usage every chunk says "usage": null but the last, as OpenAI's do.
        self._close = b'}],"usage":null}\n\n' if include_usage else b"}]}\n\n"
        before = b'"delta":{"content":' if chat else b'"text":'
        after = b'},"logprobs":null,"finish_reason":null' if chat else b',"logprobs":null,"finish_reason":null'
        self._text_open = self._open + before
        self._text_close = after + self._close

    def whole(self, text: str, finish_reason: str, usage: Usage) -> bytes:
        """The reply to a request that does not stream."""
        content = orjson.dumps(text)
        if self._chat:
            choice = b'"message":{"role":"assistant","content":%b,"refusal":null}' % content
        else:
            choice = b'"text":%b' % content
        return b'%b,"choices":[{"index":0,%b,"logprobs":null,"finish_reason":"%b"}],"usage":%b}' % (
            self._head,
            choice,
            finish_reason.encode(),
            usage.body(),
        )

    def opening(self) -> bytes:
        """The event before the first text: a chat's role."""
        if not self._chat:
            return b""
        delta = b'"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null'
        return self._open + delta + self._close

    def piece(self, text: str) -> bytes:
        """One event with text."""
        return self._text_open + orjson.dumps(text) + self._text_close

    def closing(self, finish_reason: str, usage: Usage | None) -> bytes:
        """The events after the last text: the reason, the usage where asked for, the end mark."""
        empty = b'"delta":{}' if self._chat else b'"text":""'
        last = self._open + empty + b',"logprobs":null,"finish_reason":"%b"' % finish_reason.encode() + self._close
        if usage is not None:
            last += b"data: " + self._head + b',"choices":[],"usage":' + usage.body() + b"}\n\n"
        return last + DONE


def model_object(name: str, created: int) -> dict[str, object]:
    """One entry of ``/v1/models``."""
    return {"id": name, "object": "model", "created": created, "owned_by": "llmops"}
