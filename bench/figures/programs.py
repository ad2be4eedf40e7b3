"""What our program costs over an empty one, through the same wrapper, engine and language host."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import rounds
from bench.platform import Platform
from bench.results import Result, compared

IDS = {"preview.local": 1.8, "up.noop": 1.5}


def measure(platform: Platform, say: Callable[[str], None]) -> list[Result]:
    """The four commands in turn: preview and no-op `up`, of the local stack and of an empty program."""
    platform.ensure_up()
    empty = empty_program(platform)
    wrapper = str(Path.cwd() / "sandbox" / "pulumi")
    preview = (wrapper, "preview", "--stack", "local", "--color", "never")
    up = (wrapper, "up", "--stack", "local", "--yes", "--skip-preview", "--color", "never")
    local = Path.cwd()
    found = rounds.interleaved(
        {
            "preview of local": partial(seconds, platform, preview, local),
            "preview of an empty program": partial(seconds, platform, preview, empty),
            "no-op up of local": partial(seconds, platform, up, local),
            "up of an empty program": partial(seconds, platform, up, empty),
        },
        say=say,
    )
    return [
        compared(
            "preview.local",
            "`sandbox/pulumi preview` of the running local stack ÷ of an empty Python program.",
            IDS["preview.local"],
            found["preview of local"],
            found["preview of an empty program"],
            "s",
        ),
        compared(
            "up.noop",
            "`sandbox/pulumi up --skip-preview` that changes nothing, of the local stack ÷ of an empty Python program.",
            IDS["up.noop"],
            found["no-op up of local"],
            found["up of an empty program"],
            "s",
        ),
    ]


def empty_program(platform: Platform) -> Path:
    """A project whose program does nothing, with a stack named as ours."""
    directory = platform.directory / "empty"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Pulumi.yaml").write_text("name: empty\nruntime: python\n")
    (directory / "__main__.py").write_text('"""Nothing."""\n')
    platform.run(str(Path.cwd() / "sandbox" / "pulumi"), *("stack", "select", "--create", "local"), cwd=directory)
    return directory


def seconds(platform: Platform, command: tuple[str, ...], cwd: Path) -> float:
    """How long one command takes."""
    began = time.monotonic()
    platform.run(*command, cwd=cwd, seconds=300)
    return time.monotonic() - began
