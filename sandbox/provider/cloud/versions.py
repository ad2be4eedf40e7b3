"""Versions of Kubernetes and of add-ons that the clouds offer (versions.yaml, dated)."""

import functools
import re
from pathlib import Path
from typing import Any

import yaml

from sandbox.provider.contract import ProviderError
from sandbox.provider.values import UNKNOWN

FILE = Path(__file__).with_name("versions.yaml")
MINOR = re.compile(r"1\.(\d+)")


@functools.cache
def table() -> dict[str, Any]:
    """The whole file."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def default(cloud: str) -> str:
    """The version that a cluster gets where none is given."""
    return str(table()[cloud]["default"])


def offered(cloud: str) -> list[str]:
    """Every minor version, the newest first."""
    return [str(version) for version in table()[cloud]["versions"]]


def fault(cloud: str, version: Any) -> str | None:
    """Why a cluster cannot have this version; None where it can, or where that is not known yet."""
    if version is None or version is UNKNOWN or minor(version) in map(minor, offered(cloud)):
        return None
    return f"{version!r} is not offered: there is {', '.join(offered(cloud))} (as of {table()['date']})."


def step(before: Any, after: Any) -> str | None:
    """Why a control plane cannot go from one version to the other: one minor version at a time, and never back."""
    old, new = minor(before), minor(after)
    if old is None or new is None or old <= new <= old + 1:
        return None
    return f"{before} to {after} ({'a downgrade' if new < old else 'more than one minor version'})"


def minor(version: Any) -> int | None:
    """34 of `1.34` or `1.34.1-gke.100`."""
    match = MINOR.match(str(version))
    return int(match[1]) if match else None


def full(version: str) -> str:
    """A version with GKE's patch level, where it has none."""
    return version if "-gke." in version else str(table()["gke"]["patch"]).format(version=version)


def addon(name: str, kubernetes: str) -> str:
    """The newest version of an EKS add-on for a minor version of Kubernetes. Raises ProviderError."""
    known: dict[str, Any] = table()["addons"]
    if name not in known:
        raise ProviderError(
            f"The EKS add-on {name!r} has no version in the stand-in: add it to sandbox/provider/cloud/versions.yaml "
            f"(there is {', '.join(sorted(known))}), or set addonVersion."
        )
    return str(known[name]).format(minor=kubernetes)
