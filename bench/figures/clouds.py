"""What the clouds' stacks cost over an empty program, and how long their whole life takes, all on the stand-ins."""

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench import rounds, samples
from bench.figures.programs import empty_program, seconds
from bench.platform import Platform
from bench.results import Result, compared
from sandbox import paths

STACKS = ("aws", "gcp")  # a DGX stack's plain `pulumi` wants the kubeconfig of its cluster
IDS = {f"{what}.{stack}": goal for what, goal in (("preview", 1.8), ("noop", 1.5)) for stack in STACKS}
PULUMI = str(paths.REPOSITORY / "sandbox" / "pulumi")


def measure(platform: Platform, say: Callable[[str], None]) -> list[Result]:
    """Bring every stack up on its stand-ins, measure them beside the empty program, and take them down again."""
    empty = empty_program(platform)
    platform.run(PULUMI, "up", "--stack", "local", "--yes", "--skip-preview", cwd=empty)
    life: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    try:
        for stack in STACKS:
            say(f"up of {stack}")
            platform.configure(stack, _settings(stack))
            began = time.monotonic()
            printed = platform.run("make", "up", f"STACK={stack}", "ARGS=--color never")
            life[stack] = {"up": time.monotonic() - began}
            sizes[stack] = int((re.search(r"\+ (\d+) created", printed) or ["", "0"])[1])
        found = rounds.interleaved(_arms(platform, empty), say=say)
    finally:
        for stack in STACKS:
            say(f"down of {stack}")
            began = time.monotonic()
            platform.run("make", "down", f"STACK={stack}", "ARGS=--color never")
            if stack in life:
                life[stack]["down"] = time.monotonic() - began
    results: list[Result] = []
    for stack in STACKS:
        details: dict[str, Any] = {"resources": sizes[stack]}
        details |= {f"`make {what}` once, seconds": round(took, 1) for what, took in life[stack].items()}
        results.append(
            compared(
                f"preview.{stack}",
                f"`sandbox/pulumi preview` of the {stack} stack, up on its stand-ins ÷ of an empty Python program.",
                IDS[f"preview.{stack}"],
                found[f"preview of {stack}"],
                found["preview of an empty program"],
                "s",
                details={**details, "over the empty program, seconds": _over(found, stack)},
            )
        )
        results.append(
            compared(
                f"noop.{stack}",
                f"`sandbox/pulumi up --skip-preview` that changes nothing, of the {stack} stack ÷ of an empty program.",
                IDS[f"noop.{stack}"],
                found[f"no-op up of {stack}"],
                found["up of an empty program"],
                "s",
            )
        )
    return sorted(results, key=lambda result: list(IDS).index(result.id))


def _over(found: dict[str, list[float]], stack: str) -> float:
    ours, base = samples.median(found[f"preview of {stack}"]), samples.median(found["preview of an empty program"])
    return round(ours - base, 2)


def _settings(stack: str) -> dict[str, Any]:
    """The checked-in stack's values, as a test cluster: it goes whole."""
    content = yaml.safe_load((paths.REPOSITORY / f"Pulumi.{stack}.yaml").read_text())
    return {**{key.removeprefix("llmops:"): value for key, value in content["config"].items()}, "ephemeral": True}


def _arms(platform: Platform, empty: Path) -> dict[str, Callable[[], float]]:
    arms: dict[str, Callable[[], float]] = {}
    for stack, name, folder in [("local", "an empty program", empty), *((s, s, paths.REPOSITORY) for s in STACKS)]:
        preview = (PULUMI, "preview", "--stack", stack, "--color", "never")
        up = (PULUMI, "up", "--stack", stack, "--yes", "--skip-preview", "--color", "never")
        arms[f"preview of {name}"] = partial(seconds, platform, preview, folder)
        arms[f"{'up' if folder is empty else 'no-op up'} of {name}"] = partial(seconds, platform, up, folder)
    return arms
