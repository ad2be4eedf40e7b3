"""What the server needs from an engine, whatever protocol it speaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from frontend.body import Sampling


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine is to continue: the ids it sees, and the text that is tokenised to them, where there is one."""

    ids: Sequence[int]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """New text from an engine that detokenises by itself, of at least ``tokens`` tokens; the last says why it ended.

    ``finish_reason`` is OpenAI's: ``stop`` (at an end token, which no text shows) or ``length``.
    """

    text: str
    tokens: int
    finish_reason: str | None


class Backend(Protocol):
    """A generator of token ids or of text. Errors are `ApiError`s fit for clients."""

    @property
    def takes_text(self) -> bool:
        """Whether it tokenises and detokenises by itself, and yields `Said` where others yield token ids."""
        ...

    def generate(
        self, prompt: Prompt, sampling: Sampling, max_tokens: int, *, stream: bool
    ) -> AbstractAsyncContextManager[AsyncGenerator[list[int], None] | AsyncGenerator[Said, None]]:
        """What is generated, in pieces as they come (or in one piece); leaving the context stops the generation."""
        ...

    async def ready(self) -> str | None:
        """None when the model can generate now, else why not."""
        ...

    async def close(self) -> None:
        """Give up every connection."""
        ...
