"""How the time of a preview and the size of the state grow with the number of models."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from bench import rounds, samples
from bench.platform import Platform, settings
from bench.results import Result, compared
from sandbox import paths

COUNTS = (1, 10, 50)
INSTANCE = "bench-api"
CLUSTER = (sys.executable, "-m", "sandbox.cluster")
# A quadratic part shows as a steeper second stretch: of n², that from 10 to 50 is 5.5 times that from 1 to 10.
GOAL = 1.25
IDS: dict[str, float] = dict.fromkeys(("state.models.time", "state.models.size"), GOAL)


def measure(platform: Platform, say: Callable[[str], None]) -> list[Result]:
    """Preview stacks that differ in nothing but their number of models, against an empty API server of their own."""
    running = platform.state_bytes() if platform.is_up() else None
    empty = Platform(platform.directory, INSTANCE)
    for count in COUNTS:
        empty.configure(_stack(count), settings([f"model-{n}" for n in range(1, count + 1)], replicas=1))
    empty.run(*CLUSTER, "start", "--control-plane", seconds=300)
    try:
        return _results(empty, say, running)
    finally:
        empty.run(*CLUSTER, "stop", "--delete", seconds=120)
        shutil.rmtree(paths.state_dir(INSTANCE), ignore_errors=True)


def _results(platform: Platform, say: Callable[[str], None], running: int | None) -> list[Result]:
    found = rounds.interleaved({_stack(count): partial(_preview, platform, count) for count in COUNTS}, say=say)
    seconds = [[value for value, _ in found[_stack(count)]] for count in COUNTS]
    sizes = [[float(size) for _, size in found[_stack(count)]] for count in COUNTS]
    return [
        _figure("state.models.time", "seconds of `sandbox/pulumi preview`", seconds, "s/model"),
        _figure(
            "state.models.size",
            "bytes of the resources that a preview plans to write to the state (a state file is written only by `up`, "
            "and 50 models' pods do not fit this machine)",
            sizes,
            "B/model",
            {"state file of the running stack of one model": f"{running} B"} if running else {},
        ),
    ]


def _figure(
    identity: str, what: str, values: list[list[float]], unit: str, more: dict[str, Any] | None = None
) -> Result:
    """From the rounds' values at 1, 10 and 50 models."""
    few, some, many = COUNTS
    late = [(c - b) / (many - some) for b, c in zip(values[1], values[2], strict=True)]
    early = [(b - a) / (some - few) for a, b in zip(values[0], values[1], strict=True)]
    medians = [samples.median(v) for v in values]
    fit = samples.line(list(zip(COUNTS, medians, strict=True)))
    result = compared(
        identity,
        f"{what}, for {few}, {some} and {many} models: slope per model from {some} to {many} ÷ slope from {few} to "
        f"{some}; 1 is a straight line.",
        GOAL,
        late,
        early,
        unit,
        note="The ratio is that of the medians: a slope is a difference, so those of single rounds scatter (the IQR).",
        details={
            "medians": {f"{count} models": value for count, value in zip(COUNTS, medians, strict=True)},
            "straight line": {
                "per model": fit.slope,
                "without models": fit.intercept,
                "largest distance from it": f"{fit.residual:.1%}",
            },
            **(more or {}),
        },
    )
    # Both are published: they agree on a quiet machine, and where they do not, the figure is too noisy to judge by.
    details = {**result.details, "median of the rounds' own ratios": result.ratio}
    return replace(result, ratio=slope_ratio(*medians), details=details)


def slope_ratio(at_few: float, at_some: float, at_many: float) -> float:
    """The slope of the second stretch ÷ that of the first."""
    few, some, many = COUNTS
    return (at_many - at_some) / (many - some) / ((at_some - at_few) / (some - few))


def _stack(count: int) -> str:
    return f"models-{count}"


def _preview(platform: Platform, count: int) -> tuple[float, int]:
    """Seconds of a preview of a new stack, and bytes of the planned resources."""
    began = time.monotonic()
    printed = platform.run(
        *("sandbox/pulumi", "preview", "--stack", _stack(count), "--json", "--suppress-outputs"), seconds=300
    )
    took = time.monotonic() - began
    steps = json.loads(printed)["steps"]
    return took, sum(len(json.dumps(step.get("newState") or {})) for step in steps)
