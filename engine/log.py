"""Progress for people on a terminal, one JSON object a line for everything else."""

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(frozen=True, kw_only=True)
class Log:
    """Messages of one step, each with the seconds since the step began.

    Everything goes to standard error, so that standard output carries nothing but a step's record.
    """

    step: str
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    began: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.began

    def say(self, message: str, **facts: str | int | float) -> None:
        """Write one finished line."""
        if self.stream.isatty():
            details = "  ".join(f"{name} {value}" for name, value in facts.items())
            # \033[K: the rest of a progress line that stood here.
            self._write(f"\r{self.step} {self.elapsed():5.1f}s  {message}  {details}".rstrip() + "\033[K\n")
        else:
            record = {"step": self.step, "elapsed_s": round(self.elapsed(), 3), "message": message, **facts}
            self._write(json.dumps(record) + "\n")

    def progress(self, done: int, total: int, message: str, **facts: str | int | float) -> None:
        """Say how far the step is and what time is left, overwriting the last such line on a terminal."""
        left = self.elapsed() / done * (total - done) if done else 0.0
        if self.stream.isatty():
            details = "  ".join(f"{name} {value}" for name, value in facts.items())
            line = f"{self.step} {self.elapsed():5.1f}s  {message} {done}/{total}  {left:.0f}s left  {details}"
            self._write(f"\r{line}\033[K")
        else:
            self.say(message, done=done, total=total, left_s=round(left, 1), **facts)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
