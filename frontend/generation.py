"""One generation: what comes from the engine becomes text, with stop strings, counts and the reason it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

from frontend.backend import Backend, Prompt, Said
from frontend.body import GenerationRequest
from frontend.errors import internal
from frontend.stops import StopFilter
from frontend.tokenizer import Tokenizer


class Generation:
    """Runs once; afterwards (or at any time) its counts are exact for what the engine has produced.

    From an engine that answers text the count of output tokens is reckoned: see `_reckon`.

    ``whole`` lets the engine answer in one piece where nothing needs the tokens earlier. `gaps` collects
    (seconds, tokens) between pieces.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        request: GenerationRequest,
        prompt: Prompt,
        max_tokens: int,
        *,
        whole: bool,
    ) -> None:
        self._backend = backend
        self._tokenizer = tokenizer
        self._request = request
        self._prompt = prompt
        self._max_tokens = max_tokens
        # A lone end token is watched by the engine itself; further ones, and stop strings, only here. An engine that
        # answers text knows all of its end tokens.
        ends = () if request.sampling.ignore_eos or backend.takes_text else tokenizer.end_ids
        self._ends = frozenset(ends)
        self._incremental = not whole or request.stream or bool(request.stops) or len(ends) > 1
        self.prompt_tokens = len(prompt.ids)
        self.completion_tokens = 0
        self.finish_reason: str | None = None
        self.first_token_at: float | None = None
        self._last = 0.0
        self._engine_ends = True  # whether the engine stops by itself at the end that was met
        self._texts: list[str] = []  # what an engine that answers text has said,
        self._engine_reason: str | None = None  # and why it ended
        self.gaps: list[tuple[float, int]] = []

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Text as it becomes certain; may contain no piece at all. Closing the iterator stops the engine."""
        detokenizer = self._tokenizer.detokenizer()
        stops = StopFilter(self._request.stops)
        generating = self._backend.generate(
            self._prompt, self._request.sampling, self._max_tokens, stream=self._incremental
        )
        try:
            async with generating as stream, aclosing(stream) as arrivals:
                async for arrival in arrivals:
                    if self.finish_reason is not None:
                        continue  # only reading on, so that the connection serves the next request too
                    if isinstance(arrival, Said):
                        text, stopped = stops.feed(self._hear(arrival))
                    else:
                        text, stopped = stops.feed(detokenizer.feed(self._count(arrival)))
                    if text:
                        yield text
                    if stopped:
                        self.finish_reason = "stop"
                        return
                    if self.finish_reason is not None and not self._engine_ends:
                        break
                if self.first_token_at is None:
                    raise internal("the engine ended a reply without any token")
                if self._texts and self.finish_reason is None:
                    raise internal("the engine ended a reply without saying why")
                rest, stopped = stops.feed(detokenizer.flush())
                rest += stops.flush()
                if stopped:
                    self.finish_reason = "stop"
                elif self.finish_reason is None:
                    # Fewer tokens than asked for and no end token: the engine met a limit of its own.
                    self.finish_reason = "length"
                if rest:
                    yield rest
        finally:
            if self._texts:
                self._reckon()

    async def text(self) -> str:
        """The whole text."""
        async with aclosing(self.pieces()) as pieces:
            return "".join([piece async for piece in pieces])

    def _count(self, ids: list[int]) -> list[int]:
        """Book arrived ids and notice the end; returns the ids that belong to the text."""
        self._time(len(ids))
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

    def _hear(self, said: Said) -> str:
        """Book arrived text and notice the end."""
        self._time(said.tokens)
        self._texts.append(said.text)
        self.completion_tokens = min(self._max_tokens, self.completion_tokens + said.tokens)
        self.finish_reason = self._engine_reason = said.finish_reason
        return said.text

    def _reckon(self) -> None:
        """Make the best of what is known of the number of tokens in arrived text.

        Ended by ``length`` it is what was asked for. Else it is at least one for each arrival, and seldom less than
        what the text tokenises to, with an end token that no text shows.
        """
        if self._engine_reason == "length":
            self.completion_tokens = self._max_tokens
            return
        spelled = len(self._tokenizer.encode("".join(self._texts), special=False))
        spelled += self._engine_reason == "stop"
        self.completion_tokens = min(self._max_tokens, max(self.completion_tokens, spelled))

    def _time(self, tokens: int) -> None:
        now = perf_counter()
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self.gaps.append((now - self._last, tokens))
        self._last = now
