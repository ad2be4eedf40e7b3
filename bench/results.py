"""The published figures: what one looks like, and how runs end up in results.json."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import samples


@dataclass(frozen=True, kw_only=True)
class Run:
    """Which run a figure comes from. `partial` runs measured a selection."""

    date: str  # UTC, to the second
    commit: str
    machine: str
    partial: bool


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure. Every ratio is better when smaller, and meets its goal when it is not above it."""

    id: str
    goal: float
    what: str = ""
    ratio: float | None = None  # the median of the rounds' ratios; none when it could not be measured
    rounds: int = 0
    iqr: float | None = None  # of the rounds' ratios
    unit: str = ""  # of the two medians
    ours: float | None = None  # median of the ratio's upper half
    base: float | None = None  # median of the ratio's lower half, or the aim that it is held against
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str = ""  # one sentence: why there is no ratio
    run: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio is not None and self.ratio <= self.goal


def compared(
    identity: str, what: str, goal: float, ours: Sequence[float], base: Sequence[float], unit: str, **more: Any
) -> Result:
    """A figure from paired rounds: the median of ours ÷ base, round by round."""
    ratios = [mine / theirs for mine, theirs in zip(ours, base, strict=True)]
    return Result(
        id=identity,
        what=what,
        goal=goal,
        ratio=samples.median(ratios),
        rounds=len(ratios),
        iqr=samples.iqr(ratios),
        unit=unit,
        ours=samples.median(ours),
        base=samples.median(base),
        **more,
    )


def against_aim(identity: str, what: str, aim: float, measured: Sequence[float], unit: str, **more: Any) -> Result:
    """An absolute figure, published as its share of the aim: 1 is the aim itself."""
    return compared(identity, what, 1.0, measured, [aim] * len(measured), unit, **more)


def read(path: Path) -> list[Result]:
    """The figures published so far; none before the first run. Raises ValueError when the file is damaged."""
    if not path.exists():
        return []
    try:
        return [Result(**entry) for entry in json.loads(path.read_text())]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not what `make bench` writes ({error}): delete it and run again.") from None


def merge(before: Sequence[Result], new: Sequence[Result], run: Run) -> list[Result]:
    """The new figures in the old ones' places. A failure never takes the place of a figure that was measured."""
    found = {result.id: result for result in before}
    for result in new:
        known = found.get(result.id)
        if result.error and known is not None and known.ratio is not None:
            continue
        found[result.id] = replace(result, run=asdict(run))
    return list(found.values())


def write(path: Path, results: Sequence[Result]) -> None:
    """Replace the file at once. Numbers keep five significant digits: more would be noise."""
    entries = [_rounded({key: value for key, value in asdict(r).items() if value not in ("", {})}) for r in results]
    part = path.with_suffix(".part")
    part.write_text(json.dumps(entries, indent=1) + "\n")
    os.replace(part, path)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_rounded(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
