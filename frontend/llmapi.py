"""The ``tensorrt_llm`` model of TensorRT-LLM's LLM API through Triton's generate extension: text in, text out.

Tensor names and their meaning: TensorRT-LLM 1.2, triton_backend/all_models/llmapi/tensorrt_llm (config.pbtxt,
1/model.py, 1/helpers.py). The model takes no token ids and answers none: each streamed reply holds the whole text so
far and, when asked, a finish reason, which is "None" until the last.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from frontend.backend import Prompt, Said
from frontend.body import Sampling
from frontend.errors import internal, timed_out, unavailable, unsupported
from frontend.generate_extension import GenerateModel, refusal, usable_seed
from frontend.http_client import HttpClient
from frontend.tokenizer import REPLACEMENT

_REQUIRED = frozenset(
    {
        "text_input",
        "streaming",
        "sampling_param_max_tokens",
        "sampling_param_exclude_input_from_output",
        "return_finish_reason",
    }
)
# An optional tensor is sent only when its value asks for something; the model of 1.2 lacks the last three.
_PARAMETERS = {
    f"sampling_param_{name}": name
    for name in (
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "min_tokens",
        "ignore_eos",
    )
}


def request_tensors(text: str, sampling: Sampling, max_tokens: int, *, stream: bool) -> dict[str, object]:
    """The input tensors of one request.

    Stop strings stay here (`frontend.stops`): the model hands them to the tokenizer as bytes, and looks for their own
    tokens only, where a text may spell them with others.
    """
    asked: dict[str, object] = {"max_tokens": max_tokens, "exclude_input_from_output": True}
    if sampling.temperature == 0 or sampling.top_p == 0:
        asked["top_k"] = 1  # greedy in every version
    else:
        # Both always: without them the LLM API is greedy.
        asked["temperature"] = sampling.temperature
        asked["top_p"] = sampling.top_p
        if sampling.top_k:
            asked["top_k"] = sampling.top_k
        asked["seed"] = usable_seed(sampling.seed)
    for name, value, neutral in (
        ("presence_penalty", sampling.presence_penalty, 0),
        ("frequency_penalty", sampling.frequency_penalty, 0),
        ("repetition_penalty", sampling.repetition_penalty, 1),
        ("min_tokens", sampling.min_tokens, 0),
        ("ignore_eos", sampling.ignore_eos, False),
    ):
        if value != neutral:
            asked[name] = value
    tensors: dict[str, object] = {f"sampling_param_{name}": value for name, value in asked.items()}
    return {"text_input": text, "streaming": stream, "return_finish_reason": True} | tensors


class _Listener:
    """Makes pieces of the growing text of one reply."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, events: list[bytes]) -> Said:
        """What is new in events that came together. Each holds the text of those before: only the last is read."""
        try:
            reply: dict[str, Any] = orjson.loads(events[-1].removeprefix(b"data:"))
            text: object = reply["text_output"]
            reason: object = reply["finish_reason"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise refusal(500, events[-1]) from None
        if not isinstance(text, str):
            raise internal("the model answered more than one text")
        if reason == "timeout":
            raise timed_out("the LLM API gave the request up ('timeout')")
        if reason == "cancelled":
            raise unavailable("The model gave the request up, please retry.", "the LLM API says 'cancelled'")
        ended = reason in ("stop", "length")
        if not ended:
            text = text.rstrip(REPLACEMENT)  # the beginning of a character whose other bytes are still to come
        new = text[self._shown :]
        self._shown += len(new)
        return Said(new, len(events), str(reason) if ended else None)


class LlmApiEngine:
    """The ``llmapi`` mode: the LLM API's text in Triton's python backend."""

    takes_text = True

    def __init__(self, client: HttpClient, model: str) -> None:
        self._model = GenerateModel(client, model, _REQUIRED, _PARAMETERS, decoupled=True)
        self.ready = self._model.ready
        self.close = self._model.close

    def generate(
        self, prompt: Prompt, sampling: Sampling, max_tokens: int, *, stream: bool
    ) -> AbstractAsyncContextManager[AsyncGenerator[Said, None]]:
        """See `frontend.backend.Backend.generate`."""
        if prompt.text is None:
            raise unsupported("prompt", "The engine of this model takes text only: give 'prompt' as a string.")
        tensors = request_tensors(prompt.text, sampling, max_tokens, stream=stream)
        return self._model.ask(tensors, _Listener(), stream=stream)
