"""From a stopped sandbox to a first answer, and what the running sandbox weighs."""

from collections.abc import Callable
from typing import Any

from bench import processes, samples
from bench.platform import REPLICAS, Platform
from bench.results import Result, against_aim

IDS = {"up.warm": 1.0, "up.memory": 1.0}  # shares of the aims below
AIM_SECONDS = 60.0
AIM_GIB = 3.0
ROUNDS = 3  # each costs a `make down` and a `make up`
GIB = 1 << 30
SHOWN = 12  # programs, largest first


def measure(platform: Platform, say: Callable[[str], None]) -> list[Result]:
    """Take the platform down and up again; it stays up."""
    platform.ensure_up()  # fills every cache: a warm start is what is measured
    seconds: list[float] = []
    phases: list[list[dict[str, Any]]] = []
    resident: list[float] = []
    proportional: list[float] = []
    for number in range(ROUNDS):
        say(f"make down and make up, round {number + 1} of {ROUNDS}")
        platform.down()
        seconds.append(platform.up())
        phases.append(platform.phases)
        rss, pss = processes.memory(platform.processes())
        resident.append(rss / GIB)
        proportional.append(pss / GIB)
    return [
        against_aim(
            "up.warm",
            "seconds of `make up` from a stopped sandbox, caches kept, to the first 200 through the gateway.",
            AIM_SECONDS,
            seconds,
            "s",
            note="Three rounds only, each with a `make down` before it. Phases of the median round; some overlap.",
            details={"phases": _phases(phases[seconds.index(sorted(seconds)[len(seconds) // 2])])},
        ),
        against_aim(
            "up.memory",
            "GiB resident of everything that the sandbox runs after `make up`: the cluster, the gateway and "
            f"{REPLICAS} replicas of Triton with their frontends, every shared page counted once (PSS).",
            AIM_GIB,
            proportional,
            "GiB",
            note=f"With shared pages counted in every process (RSS): {samples.median(resident):.2f} GiB.",
            details={"MiB by program (PSS)": by_program(platform.processes())},
        ),
    ]


def _phases(phases: list[dict[str, Any]]) -> dict[str, str]:
    """Phase → when it began and how long it took, those under 0.1 s left out."""
    return {
        str(phase["step"]): f"{phase['seconds']:.1f} s" + (f" from {phase['after']:.1f} s" if phase["after"] else "")
        for phase in phases
        if phase["seconds"] >= 0.1
    }


def by_program(pids: list[int]) -> dict[str, int]:
    """MiB (PSS) by program, the largest first."""
    found: dict[str, float] = {}
    for pid in pids:
        name = processes.program(pid)
        found[name] = found.get(name, 0.0) + processes.memory([pid])[1] / (1 << 20)
    ordered = sorted(found.items(), key=lambda item: -item[1])
    rest = sum(size for _, size in ordered[SHOWN:])
    return {**{name: round(size) for name, size in ordered[:SHOWN]}, **({"others": round(rest)} if rest else {})}
