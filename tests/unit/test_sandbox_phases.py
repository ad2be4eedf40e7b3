"""The phases of a command, for machines to read."""

import json
import time
from pathlib import Path

import pytest

from sandbox.progress import Progress


def test_every_step_is_recorded_with_its_beginning_and_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "phases"
    monkeypatch.setenv("LLMOPS_PHASES", str(record))
    before = time.time()
    display = Progress(quiet=True)
    with display.step("Start etcd"):
        pass
    with pytest.raises(ValueError, match="no"), display.step("Start the API server"):
        raise ValueError("no")
    first, second = (json.loads(line) for line in record.read_text().splitlines())
    assert (first["step"], first["done"], second["step"], second["done"]) == (
        "Start etcd",
        True,
        "Start the API server",
        False,
    )
    assert before <= first["began"] <= time.time()
    assert 0 <= first["seconds"] < 5
