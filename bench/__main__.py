"""`make bench`: measure, and write bench/results.json and bench/README.md."""

import argparse
import os
import platform as machine_of
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import report, results
from bench.errors import BenchError
from bench.figures import GROUPS, Group, chosen
from bench.platform import Platform
from bench.results import Result, Run
from sandbox import paths
from sandbox.progress import Progress

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"


def main() -> int:
    """Measure what was asked for; 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="ID", help="these figures only")
    parser.add_argument("--list", action="store_true", help="list the figures")
    parser.add_argument("--keep", action="store_true", help="leave the measured platform up")
    parser.add_argument("--report", action="store_true", help="write README.md from results.json, measure nothing")
    given = parser.parse_args()
    if given.list:
        for group in GROUPS:
            print("\n".join(group.ids))
        return 0
    try:
        if given.report:
            README.write_text(report.text(results.read(RESULTS)))
            return 0
        groups = chosen(given.only)
        before = results.read(RESULTS)
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    try:
        return _measure(groups, before, given.keep)
    except KeyboardInterrupt:
        print("bench: interrupted; the figures measured before stay in results.json.", file=sys.stderr)
        return 130


def _measure(groups: list[Group], before: list[Result], keep: bool) -> int:
    run = Run(date=_now(), commit=_commit(), machine=_machine(), partial=len(groups) < len(GROUPS))
    progress = Progress()
    failed: list[Result] = []
    known = before
    with tempfile.TemporaryDirectory(prefix="bench-stacks-") as directory:
        platform = Platform(Path(directory))
        try:
            for group in groups:
                new = _group(group, platform, progress)
                failed += [result for result in new if result.error]
                known = results.merge(known, new, run)
                order = [identity for g in GROUPS for identity in g.ids]
                known = sorted((r for r in known if r.id in order), key=lambda r: order.index(r.id))
                results.write(RESULTS, known)
                README.write_text(report.text(known))
        finally:
            if not keep:
                with progress.step("make down of the measured platform"):
                    _down(platform, progress)
    for result in failed:
        print(f"bench: {result.id} was not measured: {result.error}", file=sys.stderr)
    print(f"{RESULTS} and {README.name} are written after {progress.elapsed():.0f} s.")
    return 1 if failed else 0


def _group(group: Group, platform: Platform, progress: Progress) -> list[Result]:
    """One group's figures; those that fail say why."""
    try:
        with progress.step(f"Measure {group.name}") as step:

            def say(text: str) -> None:
                step.note(text)
                if not progress.stream.isatty():
                    progress.say(f"  {progress.elapsed():5.0f} s  {group.name}: {text}")

            found = group.measure(platform, say)
    except (BenchError, OSError, ValueError, KeyError) as error:
        sentence = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        return [Result(id=i, what="", goal=goal, error=sentence) for i, goal in group.ids.items()]
    for result in found:
        verdict = "met" if result.met else "not met"
        progress.say(f"  {result.id}: {result.ratio:.3g}, goal {result.goal:g} ({verdict}), IQR {result.iqr:.2g}")
    return found


def _down(platform: Platform, progress: Progress) -> None:
    try:
        platform.down()
    except BenchError as error:
        progress.say(f"bench: {error}")


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    done = subprocess.run(command, cwd=paths.REPOSITORY, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _machine() -> str:
    """Processors, memory and kernel of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {machine_of.release()}"


if __name__ == "__main__":
    sys.exit(main())
