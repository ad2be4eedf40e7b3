"""Small tables in the state directory that several commands share: JSON, changed under a lock and in one step."""

import fcntl
import json
from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any


@contextmanager
def table(path: Path) -> Generator[dict[str, Any]]:
    """The table to read and change; written back when the block ends well. Others wait meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = read(path)
        before = deepcopy(rows)
        yield rows
        if rows != before:
            part = path.with_suffix(".part")
            part.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
            part.replace(path)


def read(path: Path) -> dict[str, Any]:
    """The table as it is now; empty when there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
