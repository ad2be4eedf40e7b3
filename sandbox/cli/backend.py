"""The file backend of an instance: its passphrase, its stacks, its locks."""

import json
import os
import secrets
import socket
import sys
from pathlib import Path

from sandbox import paths


def environment() -> dict[str, str]:
    """The backend's variables, those of the user's own untouched."""
    found: dict[str, str] = {}
    if "PULUMI_BACKEND_URL" not in os.environ:
        directory = paths.state_dir() / "backend"
        directory.mkdir(parents=True, exist_ok=True)
        found["PULUMI_BACKEND_URL"] = f"file://{directory}"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ):
        found["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase())
    return found


def _passphrase() -> Path:
    """The file of the instance's own passphrase, made once, readable by its owner only."""
    path = paths.state_dir() / "passphrase"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".passphrase.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        os.replace(part, path)
    return path


def _root(url: str) -> Path | None:
    return Path(url.removeprefix("file://")) / ".pulumi" if url.startswith("file:///") else None


def has_stack(url: str, project: str, stack: str) -> bool:
    """Whether a file backend has the stack. True for every other backend: that is for the CLI to say."""
    root = _root(url)
    return root is None or (root / "stacks" / project / f"{stack}.json").is_file()


def remove_dead_locks(url: str, project: str, stack: str) -> None:
    """Remove the locks of commands that were killed: of this machine, by processes that are gone."""
    root = _root(url)
    if root is None:
        return
    for lock in (root / "locks").glob(f"*/{project}/{stack}/*.json"):
        try:
            content = json.loads(lock.read_text())
            pid, host = int(content["pid"]), str(content["hostname"])
        except (OSError, ValueError, KeyError):
            continue
        if host == socket.gethostname() and not _lives(pid):
            lock.unlink(missing_ok=True)
            print(
                f"An earlier command (process {pid}) was killed in the middle: going on from its state.",
                file=sys.stderr,
            )


def _lives(pid: int) -> bool:
    """Whether the process is a running Pulumi. Process numbers are used again."""
    try:
        return "pulumi" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False
