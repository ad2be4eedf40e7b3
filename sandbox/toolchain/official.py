"""A Pulumi CLI that the user installed, if it will do; ours otherwise."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from sandbox.paths import REPOSITORY, cache_root
from sandbox.progress import Progress
from sandbox.toolchain import golang
from sandbox.toolchain.families import PULUMI

PROVIDERS = ("kubernetes", "random")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("-")[0])[:3])


def wanted_plugins() -> dict[str, str]:
    """The resource plugins the program needs: their versions are those of the SDKs in requirements.txt."""
    text = (REPOSITORY / "requirements.txt").read_text()
    found = re.findall(r"^pulumi-(\w+)==([\w.]+)", text, re.MULTILINE)
    return {name: version for name, version in found if name in PROVIDERS}


@functools.cache
def official_pulumi() -> Path | None:
    """The `pulumi` on PATH when it is 3.259.0 or newer and has the program's resource plugins, else None.

    Neither our wrapper nor our own build counts.
    """
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("pulumi", path=folder) if folder else None
        if not found:
            continue
        real = Path(found).resolve()
        if real.is_relative_to(REPOSITORY) or real.is_relative_to(cache_root().resolve()):
            continue
        return real if _new_enough(real) and _has_plugins() else None
    return None


def _new_enough(pulumi: Path) -> bool:
    try:
        done = subprocess.run(
            [pulumi, "version"],
            env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and _numbers(done.stdout) >= _numbers(PULUMI)


def _has_plugins() -> bool:
    home = Path(os.environ.get("PULUMI_HOME") or Path(os.environ.get("HOME") or "~").expanduser() / ".pulumi")
    return all(
        (home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}").is_file()
        for name, version in wanted_plugins().items()
    )


def pulumi_program(progress: Progress) -> Path:
    """The Pulumi CLI to run: the official one if it will do, else ours, built if need be."""
    if official := official_pulumi():
        return official
    golang.build(["pulumi"], progress)
    return golang.path("pulumi")
