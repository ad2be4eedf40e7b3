"""Building images with buildah: contexts of cached parts, Containerfiles that only copy."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.images.catalogue import Image, select
from sandbox.paths import cache_root
from sandbox.progress import Progress, Step
from sandbox.toolchain import store
from sandbox.toolchain.errors import ToolchainError

FORMAT = "docker-archive, a layer a COPY"  # part of the key: another way of packing packs again
WORKERS = 2  # packing is a matter of processors


def archive(image: Image, parts: dict[str, Path]) -> Path:
    """Where an image is kept: by the content of its Containerfile and of its parts."""
    key = store.content_key(
        [image.containerfile], FORMAT, image.reference, *(f"{k}={p.name}" for k, p in parts.items())
    )
    return cache_root() / "images" / f"{image.name}-{key}.tar"


def archives(names: list[str], progress: Progress) -> dict[str, tuple[Image, Path]]:
    """Every image's archive, built if need be."""
    selected = select(names)
    parts = {image.name: {name: fill() for name, fill in image.parts.items()} for image in selected}
    wanted = {image.name: (image, archive(image, parts[image.name])) for image in selected}
    missing = {name: pair for name, pair in wanted.items() if not pair[1].is_file()}
    if missing:
        packing = {f"Pack image {name}": _packer(*pair, parts[name]) for name, pair in missing.items()}
        progress.parallel(packing, WORKERS)
    return wanted


def build(names: list[str], progress: Progress) -> None:
    """Build the images that the cache lacks."""
    archives(names, progress)


def _packer(image: Image, path: Path, parts: dict[str, Path]) -> Callable[[Step], None]:
    return lambda _step: _pack(image, path, parts)


def _pack(image: Image, path: Path, parts: dict[str, Path]) -> None:
    with store.only_builder(path.with_suffix(".lock")), store.space_errors(path.parent):
        if path.is_file():
            return
        work = path.with_name(f".{path.name}.part")
        shutil.rmtree(work, ignore_errors=True)
        (work / "context").mkdir(parents=True)
        try:
            for name, part in parts.items():
                # Hard links: the context costs neither time nor space.
                shutil.copytree(part, work / "context" / name, copy_function=os.link, symlinks=True)
            storage = ("--storage-driver=overlay", f"--root={work / 'root'}", f"--runroot={work / 'run'}")
            made = work / "image.tar"
            _buildah(
                *storage,
                "bud",
                "-q",
                "--isolation=chroot",
                "--layers",  # a layer a COPY: containerd unpacks what images share once
                "--timestamp=0",
                f"--file={image.containerfile}",
                f"--tag={image.reference}",
                str(work / "context"),
            )
            # Docker's format, because buildah compresses every layer of OCI's: this never crosses a network, and
            # compressing would cost most of the time.
            _buildah(*storage, "push", "-q", image.reference, f"docker-archive:{made}:{image.reference}")
            os.replace(made, path)
            forget_old(image.name, path.parent)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def forget_old(name: str, directory: Path) -> None:
    """Keep an image's two latest archives: every change of a source makes another one."""
    pattern = f"{name}-[0-9a-f]" + "[0-9a-f]" * 11 + ".tar"
    for old in sorted(directory.glob(pattern), key=lambda path: path.stat().st_mtime)[:-2]:
        old.unlink(missing_ok=True)
        old.with_suffix(".lock").unlink(missing_ok=True)


def _buildah(*arguments: str) -> None:
    try:
        done = subprocess.run(["buildah", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise ToolchainError("buildah is missing: run 'make doctor'.") from None
    if done.returncode:
        if store.says_full(done.stderr):
            raise ToolchainError(store.cannot_write(cache_root(), 28))
        said = done.stderr.strip().splitlines()
        raise ToolchainError(f"buildah failed: {said[-1] if said else done.returncode}")
