"""Readiness: whether a request sent here now could be answered."""

from __future__ import annotations

import asyncio
from time import monotonic

from frontend.backend import Backend

_CACHE_SECONDS = 1.0
_CHECK_SECONDS = 2.0


class Readiness:
    """Asks the engine at most once a second, however many ask us."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = asyncio.Lock()
        self._checked_at = -_CACHE_SECONDS
        self._problem: str | None = "not checked yet"
        self.draining = False

    async def problem(self) -> str | None:
        """None when ready, else one sentence's worth of why not."""
        if self.draining:
            return "shutting down"
        async with self._lock:
            if monotonic() - self._checked_at >= _CACHE_SECONDS:
                try:
                    async with asyncio.timeout(_CHECK_SECONDS):
                        self._problem = await self._backend.ready()
                except TimeoutError:
                    self._problem = f"the engine did not answer within {_CHECK_SECONDS:g} s"
                self._checked_at = monotonic()
        return self._problem
