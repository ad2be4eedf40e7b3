"""bench/README.md, written from the results."""

from collections.abc import Sequence
from typing import Any

from bench.results import Result

HEAD = """# Figures

Written by `make bench` from results.json; do not edit. Every ratio is better when smaller. Arms of one figure are
interleaved in the same run, in an order drawn anew for each round; warm-up is discarded; a ratio is the median of the
rounds' ratios, and IQR is the width of their middle half. Absolute medians belong to the machine, ratios travel.

"""
REPEAT = """
## Repeat it

    make bench                          # everything: about 20 minutes, on an otherwise quiet machine
    make bench ARGS='--list'            # the figures
    make bench ARGS='--only preview.local'

The platform that is measured is brought up in a sandbox of its own (instance `bench`) and taken down at the end.
`--keep` leaves it up for the next run. A selection is merged into results.json and marked with its own run.
"""


def text(results: Sequence[Result]) -> str:
    """The whole page."""
    return HEAD + _runs(results) + _table(results) + _notes(results) + REPEAT


def _runs(results: Sequence[Result]) -> str:
    runs = {tuple(sorted(result.run.items())): result.run for result in results if result.run}
    if len(runs) == 1:
        return f"All from one run: {_run(next(iter(runs.values())))}\n\n"
    lines = [f"- {_run(run)}: {', '.join(r.id for r in results if r.run == run)}\n" for run in runs.values()]
    return "From more than one run:\n\n" + "".join(lines) + "\n" if lines else ""


def _run(run: dict[str, Any]) -> str:
    return f"{run['date']}, commit {run['commit']}, {run['machine']}"


def _table(results: Sequence[Result]) -> str:
    rows = ["| Figure | Ratio | Goal | Met | Rounds | IQR | Ours | Against |", "|---|---|---|---|---|---|---|---|"]
    for result in results:
        if result.ratio is None:
            rows.append(f"| `{result.id}` | not measured | {result.goal:g} | | | | | |")
            continue
        met = "yes" if result.met else "**no**"
        ours, base = (_with_unit(value, result.unit) for value in (result.ours, result.base))
        rows.append(
            f"| `{result.id}` | {result.ratio:.3g} | {result.goal:g} | {met} | {result.rounds} "
            f"| {_number(result.iqr)} | {ours} | {base} |"
        )
    return "\n".join(rows) + "\n"


def _notes(results: Sequence[Result]) -> str:
    parts = ["\n## What they are\n"]
    for result in results:
        parts.append(f"\n`{result.id}`: {result.what}".rstrip(" ") + "\n")
        if result.error:
            parts.append(f"Not measured: {result.error}\n")
        if result.note:
            parts.append(f"{result.note}\n")
        for key, value in result.details.items():
            parts.append(f"- {key}: {_detail(value)}\n")
    return "".join(parts)


def _detail(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_detail(item)}" for key, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float):
        return _number(value)
    return str(value)


def _number(value: float | None) -> str:
    """Three significant digits, never in exponents."""
    if value is None:
        return ""
    if value and abs(value) < 100:
        return f"{value:.3g}" if abs(value) >= 1e-4 else f"{value:.6f}"
    return f"{value:,.0f}"


def _with_unit(value: float | None, unit: str) -> str:
    return f"{_number(value)} {unit}".strip()
