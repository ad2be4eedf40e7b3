"""What is being done, for how long already, and what comes next.

On a terminal the running steps are redrawn in place; elsewhere (CI, a log) every step is one line when it ends,
one more when it takes longer than a second, and a reminder every half minute.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

T = TypeVar("T")

SHOWN_AFTER = 1.0  # seconds: shorter steps get no line of their own when they begin
REMINDER_EVERY = 30.0  # seconds between reminders of a long step in a log
REDRAW_EVERY = 0.2  # seconds, on a terminal
WIDTH = 100  # characters of the redrawn line: anything longer would wrap and leave remains


@dataclass(eq=False)
class Step:
    """A running step. `note` says what it is at, e.g. the image being imported."""

    name: str
    began: float
    text: str = ""
    announced: bool = False
    reminded: float = 0.0

    def note(self, text: str) -> None:
        """Show `text` behind the step's name until the next note."""
        self.text = text.strip().splitlines()[-1] if text.strip() else ""

    def line(self, now: float) -> str:
        """`name: note (12 s)`"""
        note = f": {self.text}" if self.text else ""
        return f"{self.name}{note} ({now - self.began:.0f} s)"


@dataclass
class Progress:
    """Steps of one command. Safe to use from several threads; writes to standard error unless told otherwise."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    _planned: list[str] = field(default_factory=lambda: list[str](), init=False)
    _running: list[Step] = field(default_factory=lambda: list[Step](), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _wake: threading.Event | None = field(default=None, init=False)
    _drawn: bool = field(default=False, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)

    def plan(self, names: Iterable[str]) -> None:
        """Announce steps to come, so that "next" can be shown. A step leaves the plan when it begins."""
        with self._lock:
            self._planned += [name for name in names if name not in self._planned]

    def say(self, text: str) -> None:
        """One line that stays."""
        with self._lock:
            self._write(text)

    @contextmanager
    def step(self, name: str) -> Generator[Step]:
        """Time a block. A failing block is shown as failed; the exception goes on."""
        step = Step(name, time.monotonic())
        self._begin(step)
        try:
            yield step
        except BaseException:
            self._end(step, "failed after")
            raise
        self._end(step, "done in")

    def parallel(
        self,
        work: Mapping[str, Callable[[Step], T]],
        workers: int | None = None,
        interrupt: Callable[[], None] = lambda: None,
    ) -> dict[str, T]:
        """Run functions at the same time, each as a step that it is given; the results by name.

        The first exception is raised after the functions that already began have ended; others do not begin.
        `interrupt` is called after Ctrl-C, to make those that already began end soon.
        """

        def one(name: str, function: Callable[[Step], T]) -> T:
            with self.step(name) as step:
                return function(step)

        self.plan(work)
        with ThreadPoolExecutor(max_workers=workers or max(1, len(work))) as pool:
            futures = {name: pool.submit(one, name, function) for name, function in work.items()}
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
            except BaseException:
                interrupt()
                raise
            finally:  # nothing new begins
                pool.shutdown(wait=False, cancel_futures=True)
        for future in futures.values():
            if not future.cancelled() and (error := future.exception()):
                raise error
        return {name: future.result() for name, future in futures.items()}

    def elapsed(self) -> float:
        """Seconds since this display was made."""
        return time.monotonic() - self._began

    def _begin(self, step: Step) -> None:
        with self._lock:
            if step.name in self._planned:
                self._planned.remove(step.name)
            self._running.append(step)
            if self._wake is None and not self.quiet:
                self._wake = threading.Event()
                threading.Thread(target=self._tick, args=(self._wake,), daemon=True).start()

    def _end(self, step: Step, verdict: str) -> None:
        with self._lock:
            self._running.remove(step)
            took = time.monotonic() - step.began
            _record(step, verdict, took)
            mark = "+" if verdict.startswith("done") else "!"
            self._write(f"{mark} {step.name}: {verdict} {took:.1f} s")
            if not self._running and self._wake is not None:
                self._wake.set()
                self._wake = None

    def _tick(self, stop: threading.Event) -> None:
        terminal = self.stream.isatty()
        while not stop.wait(REDRAW_EVERY if terminal else SHOWN_AFTER / 2):
            with self._lock:
                if stop.is_set():
                    return
                if terminal:
                    self._redraw()
                else:
                    self._remind()

    def _redraw(self) -> None:
        now = time.monotonic()
        line = "  " + " | ".join(step.line(now) for step in self._running) + self._next()
        self.stream.write("\r\x1b[2K" + line[:WIDTH])
        self.stream.flush()
        self._drawn = True

    def _remind(self) -> None:
        now = time.monotonic()
        for step in self._running:
            if not step.announced and now - step.began >= SHOWN_AFTER:
                step.announced, step.reminded = True, now
                self._write(f"  {step.name} ...{self._next()}")
            elif step.announced and now - step.reminded >= REMINDER_EVERY:
                step.reminded = now
                self._write(f"  still at {step.line(now)}{self._next()}")

    def _next(self) -> str:
        return f"   next: {self._planned[0]}" if self._planned else ""

    def _write(self, text: str) -> None:
        if self.quiet:
            return
        if self._drawn:
            self.stream.write("\r\x1b[2K")
            self._drawn = False
        self.stream.write(text + "\n")
        self.stream.flush()


def _record(step: Step, verdict: str, took: float) -> None:
    """Append an ended step to the file that `LLMOPS_PHASES` names: one JSON object a line, times in seconds."""
    if path := os.environ.get("LLMOPS_PHASES"):
        phase = {"step": step.name, "began": time.time() - took, "seconds": took, "done": verdict.startswith("done")}
        with open(path, "a") as file:
            file.write(json.dumps(phase) + "\n")


SILENT = Progress(quiet=True)  # for callers that show nothing
