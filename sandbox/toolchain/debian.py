"""Debian's own packages: which are missing, and installing them without starting a service."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

from sandbox.progress import Progress
from sandbox.toolchain import families
from sandbox.toolchain.errors import ToolchainError

POLICY = Path("/usr/sbin/policy-rc.d")
MARK = "# Written by the sandbox's toolchain while it installs packages; safe to delete."
# Installed by us, so not to be started at the next boot either: the sandbox runs its own copies.
SERVICES = {
    "etcd-server": "etcd.service",
    "containerd": "containerd.service",
    "redis-server": "redis-server.service",
    "nftables": "nftables.service",
}


def missing(features: set[str]) -> list[str]:
    """The packages that a set of features needs and this machine lacks, in alphabetical order."""
    families.check_features(features)
    return sorted(
        package
        for feature in features
        for package, proof in families.DEBIAN.get(feature, {}).items()
        if not Path(proof).exists()
    )


def ensure(features: set[str], progress: Progress) -> None:
    """Install what is missing; says what. Raises ToolchainError with the command to run when it may not."""
    packages = missing(features)
    if not packages:
        return
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise ToolchainError(
            f"These programs are missing and there is no apt-get to install them: {', '.join(packages)}."
            " Use Debian 12, or install their like by hand."
        )
    if os.geteuid() != 0:
        raise ToolchainError(f"Debian packages are missing; as root, run: {command}")
    progress.say(f"Installing from Debian, without starting any service: {', '.join(packages)}")
    with no_services(), progress.step("Install Debian packages"):
        _apt("update")
        _apt("install", "--no-install-recommends", *packages)
    still = missing(features)
    if still:
        raise ToolchainError(f"apt-get installed {', '.join(still)}, but not where expected: is this Debian 12?")
    units = [SERVICES[package] for package in packages if package in SERVICES]
    if units and shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *units], capture_output=True, check=False)


@contextlib.contextmanager
def no_services(policy: Path = POLICY) -> Generator[None]:
    """Answer "do not start anything" to every package script (Debian's invoke-rc.d(8)) while the block runs.

    A policy that is there already is put back, also when an earlier run was killed in between.
    """
    saved = policy.with_name(policy.name + ".before-sandbox")
    ours_is_there = policy.exists() and MARK in policy.read_text(errors="replace")
    if policy.exists() and not ours_is_there:
        os.replace(policy, saved)
    policy.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        if saved.exists():
            os.replace(saved, policy)
        else:
            policy.unlink(missing_ok=True)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise ToolchainError(f"`{' '.join(command)}` failed; its last lines:\n{said}")
