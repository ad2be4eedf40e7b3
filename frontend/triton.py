"""TensorRT-LLM's ``tensorrt_llm`` model through Triton's generate extension: token ids in, token ids out.

Tensor names and their meaning: TensorRT-LLM 1.2, triton_backend/all_models/inflight_batcher_llm/tensorrt_llm/
config.pbtxt. The extension: Triton's docs/protocol/extension_generate.md.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import orjson

from frontend.body import Sampling
from frontend.errors import ApiError, bad_request, internal, timed_out, unavailable, unsupported
from frontend.http_client import Exchange, HttpClient, SilenceError, TransportError

# Triton reads JSON integers as signed: seeds keep to what is safe both ways.
_SEED_BITS = 63
_NEVER = -1  # end_id: no token ends the text
_REQUIRED = {"input_ids", "input_lengths", "request_output_len", "streaming"}
# An optional tensor is sent only when its value asks for something; a model that lacks it is then a refusal.
_PARAMETERS = {
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "repetition_penalty": "repetition_penalty",
    "min_length": "min_tokens",
    "runtime_top_k": "top_k",
    "runtime_top_p": "top_p",
    "temperature": "temperature",
    "seed": "seed",
    "end_id": "ignore_eos",
}


def request_tensors(
    prompt: Sequence[int], sampling: Sampling, max_tokens: int, end_id: int | None, *, stream: bool
) -> dict[str, object]:
    """The input tensors of one request, by TensorRT-LLM's names."""
    tensors: dict[str, object] = {
        "input_ids": prompt,
        "input_lengths": len(prompt),
        "request_output_len": max_tokens,
        "streaming": stream,
    }
    if sampling.ignore_eos:
        tensors["end_id"] = _NEVER
    elif end_id is not None:
        tensors["end_id"] = end_id
    if sampling.temperature == 0 or sampling.top_p == 0:
        tensors["runtime_top_k"] = 1  # greedy, as TensorRT-LLM says it; it refuses temperature 0
    else:
        tensors["temperature"] = sampling.temperature
        tensors["runtime_top_p"] = sampling.top_p
        tensors["runtime_top_k"] = sampling.top_k
        # The engine's own default seed is a constant: every client would get the same "random" text.
        tensors["seed"] = secrets.randbits(_SEED_BITS) if sampling.seed is None else sampling.seed % (1 << _SEED_BITS)
    if sampling.presence_penalty:
        tensors["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty:
        tensors["frequency_penalty"] = sampling.frequency_penalty
    if sampling.repetition_penalty != 1:
        tensors["repetition_penalty"] = sampling.repetition_penalty
    if sampling.min_tokens:
        tensors["min_length"] = sampling.min_tokens
    return tensors


def _output_ids(event: bytes) -> list[int]:
    """The ids in one reply object. Triton writes a tensor of one element as a bare number."""
    try:
        reply = orjson.loads(event)
        ids: object = reply["output_ids"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _refusal(500, event) from None
    return cast("list[int]", ids) if isinstance(ids, list) else [cast(int, ids)]


def _refusal(status: int, body: bytes) -> ApiError:
    """Triton's error reply as ours. Triton maps UNAVAILABLE to 503, INVALID_ARG to 400, INTERNAL to 500."""
    try:
        # generate_stream sends an event even where it answers with an error status.
        said = str(orjson.loads(body.strip().removeprefix(b"data:"))["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = body[:300].decode("utf-8", "replace")
    detail = f"Triton answered {status}: {said[:300]}"
    lowered = said.lower()
    if status in (429, 503) or "queue" in lowered or "unavailable" in lowered or "not ready" in lowered:
        return unavailable("The model is overloaded, please retry shortly.", detail)
    if status == 400:
        return bad_request(f"The model refused the request: {said[:300]}", code="engine_refused")
    if status == 404:
        return unavailable("The model is not ready, please retry shortly.", detail, "model_not_ready")
    return internal(detail)


def _lost(error: TransportError) -> ApiError:
    if isinstance(error, SilenceError):
        return timed_out(f"Triton: {error}")
    return unavailable("The model is not reachable, please retry shortly.", f"Triton: {error}", "model_not_ready")


async def _events(exchange: Exchange) -> AsyncGenerator[list[int], None]:
    """Token ids from a stream of server-sent events; events that came together stay together."""
    rest = b""
    while data := await exchange.read():
        *events, rest = (rest + data).split(b"\n\n") if rest else data.split(b"\n\n")
        ids: list[int] = []
        for event in events:
            ids += _output_ids(event.removeprefix(b"data:"))
        if ids:
            yield ids
    if rest.strip():
        raise internal("Triton ended its stream in the middle of an event")


async def _whole(exchange: Exchange) -> AsyncGenerator[list[int], None]:
    """The token ids of a reply in one piece."""
    yield _output_ids(await exchange.read_all())


class TritonEngine:
    """The ``engine`` mode: TensorRT-LLM's tensors, on a GPU or in the CPU model that keeps its names."""

    def __init__(self, client: HttpClient, model: str, end_id: int | None) -> None:
        self._client = client
        self._model = model
        self._end_id = end_id
        self._path = f"/v2/models/{model}"
        self._inputs: frozenset[str] | None = None

    @asynccontextmanager
    async def generate(
        self, prompt: Sequence[int], sampling: Sampling, max_tokens: int, *, stream: bool
    ) -> AsyncGenerator[AsyncGenerator[list[int], None], None]:
        """See `frontend.backend.Backend.generate`."""
        tensors = request_tensors(prompt, sampling, max_tokens, self._end_id, stream=stream)
        if self._inputs is None:
            await self._learn_inputs()
        self._check(tensors)
        path = f"{self._path}/generate_stream" if stream else f"{self._path}/generate"
        try:
            async with self._client.post(path, orjson.dumps(tensors)) as exchange:
                if exchange.status != 200:
                    raise _refusal(exchange.status, await exchange.read_all())
                yield _events(exchange) if stream else _whole(exchange)
        except TransportError as error:
            raise _lost(error) from None

    async def ready(self) -> str | None:
        """See `frontend.backend.Backend.ready`."""
        try:
            for path in ("/v2/health/ready", f"{self._path}/ready"):
                async with self._client.get(path) as exchange:
                    await exchange.read_all()
                    if exchange.status != 200:
                        return f"Triton answers {exchange.status} to {path}"
            if self._inputs is None:
                await self._learn_inputs()
        except TransportError as error:
            return f"Triton: {error}"
        except ApiError as error:
            return error.detail or error.message
        return None

    async def close(self) -> None:
        """See `frontend.backend.Backend.close`."""
        self._client.close()

    async def _learn_inputs(self) -> None:
        """Ask which tensors the model has: Triton silently ignores any other name in a generate request."""
        try:
            async with self._client.get(self._path) as exchange:
                body = await exchange.read_all()
                if exchange.status != 200:
                    raise unavailable(
                        "The model is not ready, please retry shortly.",
                        f"Triton answers {exchange.status} to {self._path}",
                        "model_not_ready",
                    )
        except TransportError as error:
            raise _lost(error) from None
        try:
            inputs = frozenset(str(item["name"]) for item in orjson.loads(body)["inputs"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise internal(f"Triton describes {self._model} in an unknown form") from None
        if missing := _REQUIRED - inputs:
            raise internal(f"Triton's model {self._model} has no tensor {', '.join(sorted(missing))}")
        self._inputs = inputs

    def _check(self, tensors: dict[str, object]) -> None:
        assert self._inputs is not None
        if tensors.keys() <= self._inputs:
            return
        name = min(tensors.keys() - self._inputs)
        param = _PARAMETERS.get(name, name)
        raise unsupported(param, f"The engine of this model does not support '{param}'.")
