"""What a killed update leaves in a file backend, and how the next one goes on.

A lock whose process is dead is removed. Creations that were under way are forgotten, because our providers do them
over again safely: an apply is idempotent, an object carries its resource's mark, a release is upgraded or installed.
"""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.command.project import Project


def backend_folder(url: str) -> Path | None:
    """The folder of a `file://` backend; None for every other kind."""
    if not url.startswith("file://"):
        return None
    path = url.removeprefix("file://").partition("?")[0]
    return Path(path if path.startswith("/") else os.path.expanduser(path)).absolute()


def exists(backend: Path, project: Project, stack: str) -> bool:
    """Whether the backend has this stack."""
    place = backend / ".pulumi" / "stacks" / project.name
    return any((place / f"{stack}.json{ending}").exists() for ending in ("", ".gz"))


def unlock(backend: Path, project: Project, stack: str, say: Callable[[str], None]) -> None:
    """Remove locks of this machine whose process is gone."""
    folder = backend / ".pulumi" / "locks" / "organization" / project.name / stack
    for file in folder.glob("*.json"):
        try:
            lock = json.loads(file.read_text())
            pid, host = int(lock["pid"]), str(lock["hostname"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # Pulumi will say what is wrong with it
        if host == socket.gethostname() and not _alive(pid):
            file.unlink(missing_ok=True)
            file.with_name(file.name + ".attrs").unlink(missing_ok=True)
            say(f"An earlier update of {stack} was killed (process {pid}); its lock is removed and the update resumed.")


def _alive(pid: int) -> bool:
    """Whether a process of this number still runs the CLI. A number that was given out again does not count."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    name, state = text.partition("(")[2].rpartition(")")[0], text.rpartition(")")[2].split()[0]
    return name.startswith("pulumi") and state not in ("Z", "X")  # a dead child that nobody has collected


def forget_creations(
    pulumi: Path,
    backend: Path,
    project: Project,
    stack: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Drop interrupted creations from the state: the update that follows makes those resources again."""
    state = backend / ".pulumi" / "stacks" / project.name / f"{stack}.json"
    try:
        text = state.read_text()
    except OSError:
        return
    if '"pending_operations"' not in text or not _pending(json.loads(text)):
        return
    call = [str(pulumi), "-C", str(project.folder), "stack", "--stack", stack]
    done = subprocess.run([*call, "export"], env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        return
    deployment: dict[str, Any] = json.loads(done.stdout)
    count = len(_pending({"checkpoint": {"latest": deployment.get("deployment") or {}}}))
    deployment["deployment"].pop("pending_operations", None)
    done = subprocess.run(
        [*call, "import"],
        input=json.dumps(deployment),
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        say(f"{count} operation(s) of {stack} were interrupted; they are done over again.")


def _pending(document: dict[str, Any]) -> list[Any]:
    latest = (document.get("checkpoint") or {}).get("latest") or {}
    return latest.get("pending_operations") or []
