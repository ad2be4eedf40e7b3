"""Request bodies of the two generating endpoints, checked field by field.

Nothing that would change the output is ignored: it is either implemented or refused with its name.
Sources of names and bounds: OpenAI's API reference (completions, chat/completions); ``top_k``, ``min_tokens``,
``repetition_penalty`` and ``ignore_eos`` are spelled as vLLM spells them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from frontend.errors import ApiError, bad_request, model_not_found, unsupported
from frontend.fields import Json, boolean, integer, number, string, wrong_type
from frontend.messages import read_messages

DEFAULT_MAX_TOKENS = 16
MAX_STOPS = 4
MAX_STOP_LENGTH = 256

_SAMPLING = {
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
}
_COMMON = {"model", "stream", "stream_options", "stop", "max_tokens"}
# These say who asks and where to bill or keep it; they do not change what is generated.
_HARMLESS = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "prediction",
}
# These would change the output; only the values that ask for nothing are let through.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (),
    "suffix": ("",),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
}
_COMPLETION = _COMMON | _SAMPLING | _HARMLESS | {"prompt", "n", "best_of", "echo", "logprobs", "suffix", "logit_bias"}
_CHAT = (_COMMON | _SAMPLING | _HARMLESS | {"messages", "max_completion_tokens"} | _NEUTRAL.keys()) - {
    "best_of",
    "echo",
    "suffix",
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; ``seed`` None means a fresh one."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What both endpoints ask for; ``prompt`` is text, token ids, or chat messages."""

    prompt: str | list[int] | list[dict[str, str]]
    chat: bool
    max_tokens: int | None
    sampling: Sampling
    stops: tuple[str, ...]
    stream: bool
    include_usage: bool


def read_request(body: Json, *, chat: bool, model: str) -> GenerationRequest:
    """Check one body for the model served here; raises `ApiError`."""
    name = string(body, "model")
    if name != model:
        raise model_not_found(name)
    _refuse_unsupported(body, _CHAT if chat else _COMPLETION)
    stream = boolean(body, "stream")
    return GenerationRequest(
        prompt=read_messages(body) if chat else _prompt(body),
        chat=chat,
        max_tokens=_max_tokens(body),
        sampling=_sampling(body),
        stops=_stops(body),
        stream=stream,
        include_usage=_include_usage(body, stream),
    )


def _refuse_unsupported(body: Json, known: set[str]) -> None:
    for name, value in body.items():
        if name not in known:
            shown = name if len(name) <= 64 else name[:61] + "..."
            message = f"Unrecognized request argument supplied: {shown}"
            raise bad_request(message, shown, "unknown_parameter")
        neutral = _NEUTRAL.get(name)
        if neutral is None or value is None:
            continue
        # `1 == True` in Python: a neutral value must be of the same type too.
        if not any(value == item and type(value) is type(item) for item in neutral):
            allowed = " or ".join(repr(item) for item in neutral)
            hint = f"'{name}' supports only {allowed} on this server." if neutral else None
            raise unsupported(name, hint)


def _sampling(body: Json) -> Sampling:
    return Sampling(
        temperature=number(body, "temperature", 1.0, 0.0, 2.0),
        top_p=number(body, "top_p", 1.0, 0.0, 1.0),
        top_k=integer(body, "top_k", 0, 1_000_000) or 0,
        seed=integer(body, "seed", -(1 << 63), (1 << 64) - 1),
        presence_penalty=number(body, "presence_penalty", 0.0, -2.0, 2.0),
        frequency_penalty=number(body, "frequency_penalty", 0.0, -2.0, 2.0),
        repetition_penalty=number(body, "repetition_penalty", 1.0, 0.01, 10.0),
        min_tokens=integer(body, "min_tokens", 0, 1_000_000) or 0,
        ignore_eos=boolean(body, "ignore_eos"),
    )


def _max_tokens(body: Json) -> int | None:
    newer, older = (integer(body, name, 1, 1 << 40) for name in ("max_completion_tokens", "max_tokens"))
    if newer is not None and older is not None and newer != older:
        raise bad_request("Give 'max_completion_tokens' or 'max_tokens', not both.", "max_tokens", "invalid_value")
    return newer if newer is not None else older


def _stops(body: Json) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    found = cast("list[object]", value) if isinstance(value, list) else [value]
    if len(found) > MAX_STOPS:
        raise bad_request(
            f"'stop' has {len(found)} sequences; at most {MAX_STOPS} are allowed.", "stop", "invalid_value"
        )
    for item in found:
        if not isinstance(item, str):
            raise wrong_type("stop", "a string or an array of strings", item)
        if not 0 < len(item) <= MAX_STOP_LENGTH:
            message = f"Each 'stop' sequence must have from 1 to {MAX_STOP_LENGTH} characters."
            raise bad_request(message, "stop", "invalid_value")
    return tuple(cast("list[str]", found))


def _include_usage(body: Json, stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise wrong_type("stream_options", "an object", options)
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is true."
        raise bad_request(message, "stream_options", "invalid_value")
    return boolean(cast(Json, options), "include_usage")


def _prompt(body: Json) -> str | list[int]:
    value = body.get("prompt")
    if value is None:
        raise bad_request("You must provide a 'prompt' parameter.", "prompt", "missing_required_parameter")
    if isinstance(value, list):
        items = cast("list[object]", value)
        if len(items) == 1 and isinstance(items[0], (str, list)):
            value = items[0]
        elif items and isinstance(items[0], (str, list)):
            raise unsupported("prompt", f"'prompt' holds {len(items)} prompts; this server takes one a request.")
    if isinstance(value, str):
        if not value:
            raise bad_request("'prompt' must not be empty.", "prompt", "invalid_value")
        return value
    if not isinstance(value, list):
        raise wrong_type("prompt", "a string or an array of token ids", value)
    ids = cast("list[object]", value)
    if not ids:
        raise bad_request("'prompt' must not be empty.", "prompt", "invalid_value")
    # `type is int` and not isinstance: a boolean is no token id.
    if not all(type(item) is int for item in ids):
        raise bad_request("Invalid type for 'prompt': token ids must be integers.", "prompt", "invalid_type")
    return cast("list[int]", ids)


def allowed_max_tokens(asked: int | None, header: str | None, limit: int) -> int:
    """The output tokens this request may have.

    ``header`` is the trusted ``x-llmops-max-tokens``: what the gateway charged to the tenant's budget. Asking for
    more than was charged is refused; asking for nothing means `DEFAULT_MAX_TOKENS` or less.
    """
    charged = limit
    if header is not None:
        if not (header.isascii() and header.isdigit() and len(header) <= 12 and int(header) > 0):
            message = "The 'x-llmops-max-tokens' header must be a positive whole number."
            raise bad_request(message, "x-llmops-max-tokens", "invalid_value")
        charged = int(header)
    if asked is None:
        return min(DEFAULT_MAX_TOKENS, charged, limit)
    if asked > limit:
        raise _too_many(f"max_tokens is too large: {asked}. This model generates at most {limit} tokens a request.")
    if asked > charged:
        raise _too_many(f"max_tokens is {asked}, but the 'x-llmops-max-tokens' header allows {charged}.")
    return asked


def _too_many(message: str) -> ApiError:
    return bad_request(message, "max_tokens", "invalid_value")
