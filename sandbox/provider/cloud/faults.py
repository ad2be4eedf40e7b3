"""Failures on purpose: the nth call of a kind fails, or is throttled as a busy cloud would do.

A fault is `{"type": "aws:eks/nodeGroup:NodeGroup", "operation": "create", "nth": 2, "times": 1}`; `type` may have
a `*`. With `"throttle": true` the call is answered with ThrottlingException `times` times: the provider tries again,
as the real ones do, and reports it after its last try. They are kept in the file `faults` of the pretended cloud
(`python -m sandbox.provider.cloud fail …`), where what has struck is counted down, or come from LLMOPS_STANDIN_FAULTS
(a JSON list), which counts within one command.
"""

import fnmatch
import json
import os
import threading
from typing import Any

from sandbox.provider.cloud.store import Store
from sandbox.provider.contract import ProviderError, Task

VARIABLE = "LLMOPS_STANDIN_FAULTS"
DELAY = "LLMOPS_STANDIN_DELAY"  # seconds every call takes, so that tests can interrupt one
TRIES = 5
PAUSE = 0.05  # seconds before the first repetition; doubled each time

Fault = dict[str, Any]


class Faults:
    """The faults of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file = store.folder / "faults"
        self._own: list[Fault] = json.loads(os.environ.get(VARIABLE) or "[]")
        self._lock = threading.Lock()

    def strike(self, task: Task, operation: str) -> None:
        """Fail where a fault says so. Raises ProviderError."""
        if delay := float(os.environ.get(DELAY) or 0):
            task.cancelled.wait(delay)
        pause = PAUSE
        for attempt in range(1, TRIES + 1):
            fault = self._take(task.type, operation)
            if fault is None:
                return
            if not fault.get("throttle"):
                text = fault.get("error") or "InternalFailure: a failure that was asked for"
                raise ProviderError(f"{operation} of {task.type} {task.name!r} failed in the stand-in: {text}.")
            if attempt < TRIES:
                task.status(f"ThrottlingException: trying again in {pause:g} s (attempt {attempt} of {TRIES})")
                task.cancelled.wait(pause)
                pause *= 2
        raise ProviderError(
            f"{operation} of {task.type} {task.name!r} failed in the stand-in: ThrottlingException: "
            f"Rate exceeded ({TRIES} attempts)."
        )

    def add(self, fault: Fault) -> None:
        """Arm a fault for the calls to come."""
        with self._store.locked():
            self._save([*self._load(), fault])

    def _take(self, type: str, operation: str) -> Fault | None:
        with self._lock:
            if found := _count(self._own, type, operation):
                return found
        if not self._file.exists():
            return None
        with self._store.locked():
            armed = self._load()
            found = _count(armed, type, operation)
            self._save(armed)
        return found

    def _load(self) -> list[Fault]:
        return json.loads(self._file.read_text()) if self._file.exists() else []

    def _save(self, armed: list[Fault]) -> None:
        left = [fault for fault in armed if int(fault.get("times", 1)) > 0]
        if not left:
            self._file.unlink(missing_ok=True)
            return
        part = self._file.with_name(f".faults.{os.getpid()}")
        part.write_text(json.dumps(left))
        part.replace(self._file)


def _count(armed: list[Fault], type: str, operation: str) -> Fault | None:
    """The fault that strikes this call; every matching one counts it."""
    struck: Fault | None = None
    for fault in armed:
        if not fnmatch.fnmatchcase(type, fault["type"]) or fault.get("operation", "create") != operation:
            continue
        if int(fault.get("times", 1)) <= 0:
            continue
        fault["nth"] = int(fault.get("nth", 1)) - 1
        if fault["nth"] <= 0 and struck is None:
            fault["times"] = int(fault.get("times", 1)) - 1
            struck = fault
    return struck
