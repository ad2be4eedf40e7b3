"""Access logs: one JSON object a line; never prompts, completions or keys."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable

import orjson

_FLUSH_SECONDS = 0.05
_FLUSH_BYTES = 32 * 1024


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


class AccessLog:
    """Collects lines for a moment: one system call writes many."""

    def __init__(self, write: Callable[[bytes], None] = _write) -> None:
        self._write = write
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def line(self, event: str, **fields: object) -> None:
        """Add one line; fields that are None are left out."""
        entry = {"time": round(time.time(), 3), "event": event}
        entry |= {name: value for name, value in fields.items() if value is not None}
        data = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        self._lines.append(data)
        self._size += len(data)
        if self._size >= _FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data, self._size = b"".join(self._lines), 0
        self._lines.clear()
        if data:
            self._write(data)
