"""What one request asks for, read from TensorRT-LLM's tensors and checked before it is queued."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Read = Callable[[str], "npt.NDArray[Any] | None"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One generation. `end_id` below zero never ends early, as in TensorRT-LLM; `sampled` False is greedy."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    end_id: int
    stop_words: tuple[tuple[int, ...], ...]
    sampled: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int
    streaming: bool

    @property
    def tokens(self) -> int:
        """The longest that prompt and answer can become together."""
        return len(self.prompt) + self.max_new_tokens

    def stopped(self, ids: list[int]) -> bool:
        """Whether the answer so far ends with a stop word."""
        return any(tuple(ids[-len(word) :]) == word for word in self.stop_words)


def read_order(read: Read, *, end_id: int, max_seq_len: int, vocabulary: int) -> Order:
    """Read the tensors that `read` finds by name. Raises ValueError with one sentence for the caller."""

    def number(name: str, default: float) -> float:
        values = read(name)
        if values is None:
            return default
        if values.size != 1:
            raise ValueError(f"{name} must be one value a request, not {values.size}")
        return values.ravel()[0].item()

    ids = read("input_ids")
    prompt = () if ids is None else tuple(int(one) for one in ids.ravel())
    if ids is None or not prompt or (ids.ndim > 1 and ids.shape[0] != 1):
        raise ValueError("input_ids must be the token ids of one prompt, at least one")
    if (length := int(number("input_lengths", len(prompt)))) != len(prompt):
        raise ValueError(f"input_lengths is {length}, but input_ids has {len(prompt)} ids")
    if min(prompt) < 0 or max(prompt) >= vocabulary:
        raise ValueError(f"input_ids must lie between 0 and {vocabulary - 1}")
    wanted = int(number("request_output_len", 0))
    if wanted < 1:
        raise ValueError(f"request_output_len must be at least 1, not {wanted}")
    if len(prompt) + wanted > max_seq_len:
        raise ValueError(
            f"{len(prompt)} prompt tokens and {wanted} new ones exceed the engine's max_seq_len of {max_seq_len}"
        )
    temperature = number("temperature", 1.0)
    top_k = int(number("runtime_top_k", 0))
    top_p = number("runtime_top_p", 0.0)
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be at least 0, not {temperature}")
    if not 0 <= top_p <= 1:
        raise ValueError(f"runtime_top_p must lie between 0 and 1, not {top_p}")
    if top_k < 0:
        raise ValueError(f"runtime_top_k must be at least 0, not {top_k}")
    return Order(
        prompt=prompt,
        max_new_tokens=wanted,
        end_id=int(number("end_id", end_id)),
        stop_words=_stop_words(read("stop_words_list")),
        # TensorRT-LLM's rule: without top_k and top_p it takes the most likely token.
        sampled=temperature > 0 and top_k != 1 and (top_k > 1 or top_p > 0),
        temperature=temperature,
        top_k=top_k,
        top_p=top_p or 1.0,
        seed=int(number("seed", 0)),
        streaming=bool(number("streaming", False)),
    )


def _stop_words(packed: "npt.NDArray[Any] | None") -> tuple[tuple[int, ...], ...]:
    """Unpack TensorRT-LLM's [2, n]: all ids in one row, the end of each word in the other, padded with -1."""
    if packed is None or packed.size == 0:
        return ()
    if packed.size % 2:
        raise ValueError("stop_words_list must have two rows: ids, and the end of each word")
    ids, ends = np.reshape(packed, (2, -1)).tolist()
    ends = [end for end in ends if end > 0]
    if ends != sorted(ends) or (ends and ends[-1] > len(ids)):
        raise ValueError("stop_words_list must give the words' ends in rising order, within its first row")
    return tuple(tuple(ids[start:end]) for start, end in pairwise([0, *ends]) if end > start)
