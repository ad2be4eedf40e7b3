"""The checked-in stacks, for tests to change and to build, and their golden inventories."""

import os
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import REPOSITORY
from tests.unit.recorder import Recorder

INVENTORIES = Path(__file__).parent / "inventories"


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """A stack file's `config` as the settings are parsed: without the project's name before each key."""
    return {key.removeprefix("llmops:"): value for key, value in config.items()}


def values(stack: str, folder: Path = REPOSITORY) -> dict[str, Any]:
    """The settings in `Pulumi.<stack>.yaml`, as they stand there."""
    return plain(yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text())["config"])


def inventory(recorder: Recorder, name: str) -> tuple[list[str], list[str]]:
    """What was registered, and what is checked in: a review sees there what a change adds or removes.

    `INVENTORIES=write make test-unit` rewrites it.
    """
    found, file = sorted(f"{r.typ} {r.name}" for r in recorder.resources), INVENTORIES / f"{name}.txt"
    if os.environ.get("INVENTORIES") == "write":
        file.write_text("\n".join(found) + "\n")
    return found, file.read_text().splitlines()
