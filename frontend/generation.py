"""One generation: token ids from the engine become text, with stop strings, counts and the reason it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter

from frontend.backend import Backend
from frontend.body import GenerationRequest
from frontend.errors import internal
from frontend.stops import StopFilter
from frontend.tokenizer import Tokenizer


class Generation:
    """Runs once; afterwards (or at any time) its counts are exact for what the engine has produced.

    ``whole`` lets the engine answer in one piece where nothing needs the tokens earlier. `gaps` collects
    (seconds, tokens) between pieces.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        request: GenerationRequest,
        prompt: Sequence[int],
        max_tokens: int,
        *,
        whole: bool,
    ) -> None:
        self._backend = backend
        self._tokenizer = tokenizer
        self._request = request
        self._prompt = prompt
        self._max_tokens = max_tokens
        # A lone end token is watched by the engine itself; further ones, and stop strings, only here.
        ends = () if request.sampling.ignore_eos else tokenizer.end_ids
        self._ends = frozenset(ends)
        self._incremental = not whole or request.stream or bool(request.stops) or len(ends) > 1
        self.prompt_tokens = len(prompt)
        self.completion_tokens = 0
        self.finish_reason: str | None = None
        self.first_token_at: float | None = None
        self._last = 0.0
        self._engine_ends = True  # whether the engine stops by itself at the end that was met
        self.gaps: list[tuple[float, int]] = []

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Text as it becomes certain; may contain no piece at all. Closing the iterator stops the engine."""
        detokenizer = self._tokenizer.detokenizer()
        stops = StopFilter(self._request.stops)
        generating = self._backend.generate(
            self._prompt, self._request.sampling, self._max_tokens, stream=self._incremental
        )
        async with generating as stream, aclosing(stream) as arrivals:
            async for ids in arrivals:
                if self.finish_reason is not None:
                    continue  # only reading on, so that the connection serves the next request too
                text, stopped = stops.feed(detokenizer.feed(self._count(ids)))
                if text:
                    yield text
                if stopped:
                    self.finish_reason = "stop"
                    return
                if self.finish_reason is not None and not self._engine_ends:
                    break
            if self.first_token_at is None:
                raise internal("the engine ended a reply without any token")
            rest, stopped = stops.feed(detokenizer.flush())
            rest += stops.flush()
            if stopped:
                self.finish_reason = "stop"
            elif self.finish_reason is None:
                # Fewer tokens than asked for and no end token: the engine met a limit of its own.
                self.finish_reason = "length"
            if rest:
                yield rest

    async def text(self) -> str:
        """The whole text."""
        async with aclosing(self.pieces()) as pieces:
            return "".join([piece async for piece in pieces])

    def _count(self, ids: list[int]) -> list[int]:
        """Book arrived ids and notice the end; returns the ids that belong to the text."""
        now = perf_counter()
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self.gaps.append((now - self._last, len(ids)))
        self._last = now
        if not self._ends.isdisjoint(ids):
            at = next(index for index, token in enumerate(ids) if token in self._ends)
            self._engine_ends = ids[at] == self._tokenizer.end_ids[0]
            self.finish_reason = "stop"
            self.completion_tokens += at + 1
            return ids[:at]
        self.completion_tokens += len(ids)
        if self.completion_tokens >= self._max_tokens:
            self.finish_reason = "length"
        return ids
