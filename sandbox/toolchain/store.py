"""Putting things into the cache: by content, whole or not at all, by one builder at a time."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from sandbox.toolchain.errors import ToolchainError


def content_key(paths: Iterable[Path], *facts: str) -> str:
    """Twelve hexadecimal digits over the facts and over the names and contents of files.

    The files of a directory are taken with their paths inside it, so a checkout's place does not matter.
    """
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(f"{len(fact)}:{fact}\0".encode())
    for top in paths:
        files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
        for file in files:
            name = file.relative_to(top).as_posix() if top.is_dir() else file.name
            content = file.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def space_errors(directory: Path, *others: int) -> Generator[None]:
    """Turn "no space", "read-only", "not permitted" (and `others`) below `directory` into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, *others):
            raise
        raise ToolchainError(cannot_write(directory, error.errno)) from error


def cannot_write(directory: Path, reason: int | None) -> str:
    """The sentence for a cache directory that cannot be written, by error number."""
    if reason in (errno.ENOSPC, errno.EDQUOT):
        free = f"{free_bytes(directory) / 2**20:.0f} MiB"
        return (
            f"The disk of the cache directory {directory} is full ({free} free): make room there, or set"
            " LLMOPS_CACHE to a directory on a larger disk. What is already built stays usable."
        )
    return (
        f"The cache directory {directory} cannot be written ({os.strerror(reason or errno.EACCES)}):"
        " set LLMOPS_CACHE to a directory that can be."
    )


def says_full(output: str) -> bool:
    """Whether a tool's output complains of a full disk."""
    return any(words in output.lower() for words in ("no space left on device", "disk quota exceeded"))


def free_bytes(directory: Path) -> int:
    """Bytes an ordinary user may still write on the file system that holds (or will hold) `directory`."""
    existing = next(p for p in (directory, *directory.parents) if p.is_dir())
    return shutil.disk_usage(existing).free


@contextlib.contextmanager
def only_builder(lock: Path, waiting: Callable[[], None] = lambda: None) -> Generator[None]:
    """Hold an exclusive lock while building. `waiting` is called once if somebody else holds it.

    The kernel drops the lock with the process, so a killed builder leaves nothing to clear away.
    """
    # A cache directory that is a file, or lies where none can be made, shows here first.
    with space_errors(lock.parent, errno.ENOENT, errno.ENOTDIR, errno.EEXIST):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def publish(made: Path, final: Path) -> None:
    """Move a finished file or directory to its final name: there whole, or not there.

    A file is flushed first, so that a power cut cannot leave a program of the right name and no content.
    """
    if made.is_file():
        with open(made, "rb") as file:
            os.fsync(file.fileno())
    final.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, final)
