"""A stack's settings, read from its file without the Pulumi engine: for what runs before `up` and beside it."""

import os
from pathlib import Path
from typing import Any

import yaml

from stacks.settings import Settings, SettingsError, parse

REPOSITORY = Path(__file__).resolve().parent.parent


class StackFileError(Exception):
    """The stack's file cannot be used; the text says why and what to do."""


def directory() -> Path:
    """Where the stack files are: `LLMOPS_STACKS`, or the repository."""
    return Path(os.environ.get("LLMOPS_STACKS") or REPOSITORY).absolute()


def path(stack: str) -> Path:
    """The file of one stack."""
    return directory() / f"Pulumi.{stack}.yaml"


def names() -> list[str]:
    """The stacks that have a file, sorted."""
    return sorted(p.name.split(".")[1] for p in directory().glob("Pulumi.*.yaml"))


def read(stack: str) -> Settings:
    """The settings of a stack. Raises StackFileError."""
    file = path(stack)
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StackFileError(
            f"There is no stack {stack!r}: {file.name} does not exist; there is {', '.join(names()) or 'none'}."
        ) from None
    except OSError as error:
        raise StackFileError(f"{file.name} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise StackFileError(f"{file.name} is not YAML: {' '.join(str(error).split())}.") from None
    config: Any = (content or {}).get("config") or {}
    values = {key.removeprefix("llmops:"): value for key, value in config.items() if key.startswith("llmops:")}
    values.pop("apiKeys", None)
    try:
        return parse(values)
    except SettingsError as error:
        raise StackFileError(str(error)) from None
