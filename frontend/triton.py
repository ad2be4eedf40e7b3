"""TensorRT-LLM's ``tensorrt_llm`` model through Triton's generate extension: token ids in, token ids out.

Tensor names and their meaning: TensorRT-LLM 1.2, triton_backend/all_models/inflight_batcher_llm/tensorrt_llm/
config.pbtxt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import cast

import orjson

from frontend.backend import Prompt
from frontend.body import Sampling
from frontend.generate_extension import GenerateModel, refusal, usable_seed
from frontend.http_client import HttpClient

_NEVER = -1  # end_id: no token ends the text
_REQUIRED = frozenset({"input_ids", "input_lengths", "request_output_len", "streaming"})
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
        tensors["seed"] = usable_seed(sampling.seed)
    if sampling.presence_penalty:
        tensors["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty:
        tensors["frequency_penalty"] = sampling.frequency_penalty
    if sampling.repetition_penalty != 1:
        tensors["repetition_penalty"] = sampling.repetition_penalty
    if sampling.min_tokens:
        tensors["min_length"] = sampling.min_tokens
    return tensors


def _output_ids(events: list[bytes]) -> list[int]:
    """The ids in reply objects. Triton writes a tensor of one element as a bare number."""
    found: list[int] = []
    for event in events:
        try:
            ids: object = orjson.loads(event.removeprefix(b"data:"))["output_ids"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise refusal(500, event) from None
        if isinstance(ids, list):
            found += cast("list[int]", ids)
        else:
            found.append(cast(int, ids))
    return found


class TritonEngine:
    """The ``engine`` mode: TensorRT-LLM's tensors, on a GPU or in the CPU model that keeps its names."""

    takes_text = False

    def __init__(self, client: HttpClient, model: str, end_id: int | None) -> None:
        self._model = GenerateModel(client, model, _REQUIRED, _PARAMETERS)
        self._end_id = end_id
        self.ready = self._model.ready
        self.close = self._model.close

    def generate(
        self, prompt: Prompt, sampling: Sampling, max_tokens: int, *, stream: bool
    ) -> AbstractAsyncContextManager[AsyncGenerator[list[int], None]]:
        """See `frontend.backend.Backend.generate`."""
        tensors = request_tensors(prompt.ids, sampling, max_tokens, self._end_id, stream=stream)
        return self._model.ask(tensors, _output_ids, stream=stream)
