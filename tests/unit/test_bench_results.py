"""The bench's arithmetic, its rounds, and what it publishes."""

import json
from pathlib import Path

import pytest

from bench import report, results, rounds, samples
from bench.figures import states
from bench.results import Result, Run, compared

RUN = Run(date="2026-01-02 03:04:05 UTC", commit="abc", machine="2 × A, 8 GiB", partial=False)
LATER = Run(date="2026-01-03 03:04:05 UTC", commit="def", machine="2 × A, 8 GiB", partial=True)


def test_percentiles_are_interpolated() -> None:
    assert samples.percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert samples.percentile([1.0, 2.0], 1.0) == 2.0
    assert samples.iqr([1.0, 2.0, 3.0, 4.0, 5.0]) == 2.0


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        samples.median([])


def test_a_line_through_points_on_it_leaves_no_residual() -> None:
    line = samples.line([(1, 5.0), (10, 23.0), (50, 103.0)])
    assert (line.intercept, line.slope, line.residual) == pytest.approx((3.0, 2.0, 0.0))


def test_every_arm_runs_once_a_round_and_warm_up_is_left_out() -> None:
    calls: list[str] = []

    def arm(name: str) -> int:
        calls.append(name)
        return len(calls)

    found = rounds.interleaved({"a": lambda: arm("a"), "b": lambda: arm("b")}, rounds=5, warm_up=2)
    assert [sorted(calls[n : n + 2]) for n in range(0, 14, 2)] == [["a", "b"]] * 7
    assert {name: len(values) for name, values in found.items()} == {"a": 5, "b": 5}
    assert min(*found["a"], *found["b"]) == 5


def test_the_order_of_the_arms_changes_between_rounds_but_not_between_runs() -> None:
    orders = [tuple(rounds.order(["a", "b", "c"], number)) for number in range(7)]
    assert len(set(orders)) > 1
    assert orders == [tuple(rounds.order(["a", "b", "c"], number)) for number in range(7)]


def test_a_figure_is_the_median_of_its_rounds_ratios() -> None:
    result = compared("x", "what", 0.5, [1.0, 2.0, 9.0], [2.0, 4.0, 9.0], "ms")
    assert (result.ratio, result.rounds, result.iqr, result.ours, result.base) == (0.5, 3, 0.25, 2.0, 4.0)
    assert result.met


def test_results_are_a_list_with_the_published_keys(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.write(file, results.merge([], [compared("x", "what", 2, [1.0, 1.0], [3.0, 3.0], "s")], RUN))
    (entry,) = json.loads(file.read_text())
    assert {"id", "ratio", "goal", "rounds", "iqr"} <= entry.keys()
    assert entry["ratio"] == 0.33333
    assert results.read(file)[0].run["commit"] == "abc"


def test_a_partial_run_replaces_only_what_it_measured() -> None:
    first = results.merge([], [compared(i, "w", 1, [1.0], [1.0], "s") for i in ("x", "y")], RUN)
    merged = {r.id: r for r in results.merge(first, [compared("y", "w", 1, [3.0], [1.0], "s")], LATER)}
    assert (merged["x"].ratio, merged["x"].run["commit"]) == (1.0, "abc")
    assert (merged["y"].ratio, merged["y"].run["commit"], merged["y"].run["partial"]) == (3.0, "def", True)


def test_a_failure_is_published_but_loses_no_earlier_figure(tmp_path: Path) -> None:
    failed = Result(id="x", what="", goal=1, error="The gateway is down.")
    file = tmp_path / "results.json"
    results.write(file, results.merge([], [failed], RUN))
    assert results.read(file)[0].error == "The gateway is down."
    earlier = results.merge([], [compared("x", "w", 1, [1.0], [1.0], "s")], RUN)
    assert results.merge(earlier, [failed], LATER)[0].ratio == 1.0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("[{}]")
    with pytest.raises(ValueError, match="delete it"):
        results.read(file)


def test_the_report_names_each_figure_its_goal_and_its_run() -> None:
    failed = Result(id="z", what="", goal=1, error="LiteLLM cannot be installed.")
    good = compared("x", "seconds of this ÷ of that.", 0.5, [1.0], [4.0], "s")
    missed = compared("y", "w", 0.5, [3.0], [4.0], "s")
    page = report.text(results.merge([], [good, missed, failed], RUN))
    assert "| `x` | 0.25 | 0.5 | yes | 1 | 0 | 1 s | 4 s |" in page
    assert "| `y` | 0.75 | 0.5 | **no** |" in page
    assert "| `z` | not measured | 1 |" in page
    assert "LiteLLM cannot be installed." in page
    assert "All from one run: 2026-01-02 03:04:05 UTC, commit abc" in page


def test_the_report_says_when_figures_come_from_different_runs() -> None:
    first = results.merge([], [compared(i, "w", 1, [1.0], [1.0], "s") for i in ("x", "y")], RUN)
    page = report.text(results.merge(first, [compared("y", "w", 1, [3.0], [1.0], "s")], LATER))
    assert "From more than one run" in page
    assert "commit abc, 2 × A, 8 GiB: x" in page
    assert "commit def, 2 × A, 8 GiB: y" in page


def test_the_slope_ratio_is_one_for_a_line_and_shows_what_grows_faster() -> None:
    assert states.slope_ratio(3.0, 12.0, 52.0) == 1.0
    assert states.slope_ratio(1.0, 100.0, 2500.0) == pytest.approx(60 / 11)
