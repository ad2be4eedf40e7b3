"""Copying a version out of an object store: the very command of the pod, with rclone, from an S3 server."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.store_sync import command
from engine import manifest
from stacks.versions import Versions

RCLONE = Path(sys.executable).with_name("rclone")
KEY, SECRET, BUCKET = "reader", "not-a-secret", "bucket"
MODEL, VERSION = "llama", "1"


def published(folder: Path) -> Path:
    """A version with small files, one that is copied in parts, and its manifest."""
    for name, content in {
        "engine/rank0.engine": bytes(range(256)) * (300 << 10),  # 75 MiB: beyond the cut-off for parts
        "engine/config.json": b"{}",
        "tokenizer/tokenizer.json": b"{}",
        "repository/tensorrt_llm/1/.keep": b"x",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    record = manifest.Manifest(
        model=MODEL,
        version=VERSION,
        mode="engine",
        key="k",
        created="2026-11-24T00:00:00Z",
        files=manifest.describe(folder),
    )
    (folder / manifest.NAME).write_text(record.to_text())
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """An S3 server over a folder, and rclone's name of the models in it."""
    root = tmp_path_factory.mktemp("s3")
    published(root / BUCKET / "models" / MODEL / VERSION)
    (root / BUCKET / "models" / MODEL / "2").mkdir()
    (root / BUCKET / "models" / MODEL / "2" / "other").write_text("another version")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--config=", root],
        stderr=subprocess.DEVNULL,
    )
    try:
        until_open(port)
        remote = (
            f":s3,provider=Rclone,endpoint='http://127.0.0.1:{port}',access_key_id={KEY},secret_access_key={SECRET}"
        )
        yield root / BUCKET / "models" / MODEL / VERSION, f"{remote}:{BUCKET}/models"
    finally:
        server.terminate()
        server.wait(10)


def until_open(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def arguments(remote: str, target: Path) -> list[str]:
    async def known() -> list[Any]:
        return [await pulumi.Output.from_input(part).future() for part in command(remote, MODEL, VERSION, str(target))]

    return asyncio.run(known())


def sync(remote: str, target: Path) -> subprocess.CompletedProcess[str]:
    target.mkdir(exist_ok=True)
    environment = {name: str(target.parent) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    return subprocess.run(
        [RCLONE, *arguments(remote, target)], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def verify(target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine", "verify", "--version-dir", target], capture_output=True, text=True, check=False
    )


def test_exactly_one_version_is_copied_and_passes_its_check(store: tuple[Path, str], tmp_path: Path) -> None:
    version, remote = store
    done = sync(remote, tmp_path / "model")
    assert done.returncode == 0, done.stderr
    names = sorted(str(p.relative_to(version)) for p in version.rglob("*") if p.is_file())
    copied = tmp_path / "model"
    assert sorted(str(p.relative_to(copied)) for p in copied.rglob("*") if p.is_file()) == names
    assert verify(copied).returncode == 0


def test_a_corrupt_object_is_copied_and_refused(store: tuple[Path, str], tmp_path: Path) -> None:
    version, remote = store
    damaged = version / "engine" / "rank0.engine"
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + b"\0")
    try:
        assert sync(remote, tmp_path / "model").returncode == 0
    finally:
        damaged.write_bytes(good)
    refused = verify(tmp_path / "model")
    assert refused.returncode == 3
    assert "rank0.engine" in refused.stdout + refused.stderr


def test_a_copy_that_was_interrupted_is_completed_by_the_next(store: tuple[Path, str], tmp_path: Path) -> None:
    version, remote = store
    shutil.copytree(version / "tokenizer", tmp_path / "model" / "tokenizer")
    (tmp_path / "model" / "engine").mkdir()
    (tmp_path / "model" / "engine" / "rank0.engine").write_bytes(b"the first part")
    assert sync(remote, tmp_path / "model").returncode == 0
    assert verify(tmp_path / "model").returncode == 0


def test_a_version_that_is_not_there_is_refused(store: tuple[Path, str], tmp_path: Path) -> None:
    """An object store has no folders: to rclone a missing one is an empty one."""
    _, remote = store
    assert sync(remote.replace(f":{BUCKET}/models", f":{BUCKET}/nowhere"), tmp_path / "model").returncode == 0
    refused = verify(tmp_path / "model")
    assert refused.returncode == 3
    assert "no published version" in refused.stdout + refused.stderr


def test_the_pods_rclone_is_the_one_tested_here() -> None:
    said = subprocess.run([RCLONE, "version"], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[0] == f"rclone v{Versions().rclone_image.rpartition(':')[2]}"
