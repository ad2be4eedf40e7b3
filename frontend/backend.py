"""What the server needs from an engine, whatever protocol it speaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from frontend.body import Sampling


class Backend(Protocol):
    """A generator of token ids. Errors are `ApiError`s fit for clients."""

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, max_tokens: int, *, stream: bool
    ) -> AbstractAsyncContextManager[AsyncGenerator[list[int], None]]:
        """Generated ids, in pieces as they come (or in one piece); leaving the context stops the generation."""
        ...

    async def ready(self) -> str | None:
        """None when the model can generate now, else why not."""
        ...

    async def close(self) -> None:
        """Give up every connection."""
        ...
