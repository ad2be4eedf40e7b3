"""The progress display, and where the sandbox keeps things."""

import io
import threading
from pathlib import Path

import pytest

from sandbox import paths, progress
from sandbox.progress import Progress, Step


def test_a_step_ends_with_its_time() -> None:
    shown = io.StringIO()
    with Progress(shown).step("Start etcd"):
        pass
    assert shown.getvalue() == "+ Start etcd: done in 0.0 s\n"


def test_a_failing_step_is_shown_as_failed_and_its_exception_goes_on() -> None:
    shown = io.StringIO()
    with pytest.raises(ValueError, match="no"), Progress(shown).step("Start etcd"):
        raise ValueError("no")
    assert "! Start etcd: failed after" in shown.getvalue()


def test_a_long_step_is_announced_in_a_log_with_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SHOWN_AFTER", 0.02)
    monkeypatch.setattr(progress, "REMINDER_EVERY", 0.05)

    class Log(io.StringIO):
        reminded = threading.Event()

        def write(self, text: str, /) -> int:
            if "still at" in text:
                self.reminded.set()
            return super().write(text)

    shown = Log()
    display = Progress(shown)
    display.plan(["Start etcd", "Start the API server"])
    with display.step("Start etcd") as step:
        step.note("waiting for its port")
        assert shown.reminded.wait(10)
    assert "Start etcd ...   next: Start the API server\n" in shown.getvalue()
    assert "still at Start etcd: waiting for its port (0 s)" in shown.getvalue()


def test_a_terminal_is_redrawn_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "REDRAW_EVERY", 0.01)

    class Terminal(io.StringIO):
        drawn = threading.Event()

        def isatty(self) -> bool:
            return True

        def write(self, text: str, /) -> int:
            if "Start etcd (" in text:
                self.drawn.set()
            return super().write(text)

    shown = Terminal()
    with Progress(shown).step("Start etcd"):
        assert shown.drawn.wait(10)
    assert shown.getvalue().endswith("\r\x1b[2K+ Start etcd: done in 0.0 s\n")


def test_parallel_steps_give_their_results_by_name() -> None:
    def one(step: Step) -> str:
        return step.name.upper()

    assert Progress(io.StringIO()).parallel({"a": one, "b": one}) == {"a": "A", "b": "B"}


def test_a_failure_among_parallel_steps_keeps_later_ones_from_beginning() -> None:
    begun: list[str] = []

    def fails(step: Step) -> None:
        begun.append(step.name)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Progress(io.StringIO()).parallel({"a": fails, "b": fails}, workers=1)
    assert begun[0] == "a"


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for name in ("LLMOPS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert paths.cache_root() == Path("/home/someone/.cache/llmops")
    monkeypatch.setenv("XDG_CACHE_HOME", "/big")
    assert paths.cache_root() == Path("/big/llmops")
    monkeypatch.setenv("LLMOPS_CACHE", "/own")
    assert paths.cache_root() == Path("/own")


@pytest.mark.parametrize("name", ["Upper", "far-too-long-a-name", "1st", "a/b"])
def test_an_instance_name_that_cannot_name_an_interface_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LLMOPS_INSTANCE", name)
    with pytest.raises(ValueError, match="LLMOPS_INSTANCE"):
        paths.instance()
