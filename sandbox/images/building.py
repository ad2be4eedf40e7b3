"""Building images with buildah: contexts of cached parts, Containerfiles that only copy."""

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.images.catalogue import Image, select
from sandbox.paths import cache_root
from sandbox.progress import Progress
from sandbox.toolchain import store
from sandbox.toolchain.errors import ToolchainError

WORKERS = 2  # packing is a matter of processors


def archive(image: Image, parts: dict[str, Path]) -> Path:
    """Where an image is kept: by the content of its Containerfile and of its parts."""
    key = store.content_key([image.containerfile], image.reference, *(f"{k}={p.name}" for k, p in parts.items()))
    return cache_root() / "images" / f"{image.name}-{key}.tar"


def archives(names: list[str], progress: Progress) -> dict[str, tuple[Image, Path]]:
    """Every image's archive, built if need be."""
    selected = select(names)
    # Parts are shared: assembled one after the other, then the images in parallel.
    filled: dict[str, dict[str, Path]] = {}
    for image in selected:
        with _quiet_step(progress, f"Assemble {image.name}") as assemble:
            filled[image.name] = {name: assemble(fill) for name, fill in image.parts.items()}
    wanted = {image.name: (image, archive(image, filled[image.name])) for image in selected}
    missing = {name: pair for name, pair in wanted.items() if not pair[1].is_file()}
    if missing:
        work = {f"Pack image {name}": _packer(image, path, filled[name]) for name, (image, path) in missing.items()}
        progress.plan(work)

        def one(name: str) -> None:
            with progress.step(name):
                work[name]()

        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(one, name) for name in work]:
                done.result()
    return wanted


def build(names: list[str], progress: Progress) -> None:
    """Build the images that the cache lacks."""
    archives(names, progress)


class _quiet_step:  # noqa: N801 (a context manager, used like a function)
    """A step that is shown only when something has to be made: a cached part takes no time."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name = progress, name

    def __enter__(self) -> Callable[[Callable[[], Path]], Path]:
        return lambda fill: fill()

    def __exit__(self, *_: object) -> None:
        return None


def _packer(image: Image, path: Path, parts: dict[str, Path]) -> Callable[[], None]:
    return lambda: _pack(image, path, parts)


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
            storage = ("--storage-driver=vfs", f"--root={work / 'root'}", f"--runroot={work / 'run'}")
            made = work / "image.tar"
            _buildah(
                *storage,
                "bud",
                "-q",
                "--isolation=chroot",
                "--timestamp=0",
                f"--file={image.containerfile}",
                f"--tag={image.reference}",
                str(work / "context"),
            )
            _buildah(*storage, "push", "-q", image.reference, f"oci-archive:{made}:{image.reference}")
            os.replace(made, path)
        finally:
            shutil.rmtree(work, ignore_errors=True)


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
