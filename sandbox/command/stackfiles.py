"""A private copy of a stack's file, so that the checked-in one stays as it is.

Pulumi writes the passphrase's `encryptionsalt` into the file of a stack it creates. The salt belongs to this
machine's own state and not into the repository: it is kept in a copy beside that state, which is made anew from the
checked-in file for every command. A file that names its own salt or secrets provider is used directly.
"""

import os
import re
from pathlib import Path

from sandbox.command.project import Project
from sandbox.paths import state_dir

OWN_SECRETS = re.compile(r"^(encryptionsalt|secretsprovider|encryptedkey):", re.MULTILINE)
SALT = re.compile(r"^encryptionsalt:.*$", re.MULTILINE)


def source(project: Project, stack: str) -> Path:
    """The stack's checked-in file: in `LLMOPS_STACKS`, or beside Pulumi.yaml."""
    return Path(os.environ.get("LLMOPS_STACKS") or project.folder).absolute() / f"Pulumi.{stack}.yaml"


def folder(project: Project) -> Path:
    """Where the copies of a project's stack files are kept."""
    return state_dir() / "stacks" / f"{project.name}-{project.key}"


def private(project: Project, stack: str) -> Path | None:
    """The file to give to Pulumi instead of the stack's own one; None where its own will do."""
    checked_in = source(project, stack)
    try:
        text = checked_in.read_text()
    except OSError:
        return None
    if OWN_SECRETS.search(text):
        return checked_in if checked_in.parent != project.folder else None
    copy = folder(project) / checked_in.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    salt = _salt(copy)
    _write(copy, text.rstrip("\n") + "\n" + (f"{salt}\n" if salt else ""))
    # `stack init` has no --config-file: it is run in this folder, which therefore is a project of the same name.
    _write(copy.parent / "Pulumi.yaml", f"name: {project.name}\nruntime: python\n")
    return copy


def forget(project: Project, stack: str) -> None:
    """Remove the copy, and with it the salt."""
    (folder(project) / f"Pulumi.{stack}.yaml").unlink(missing_ok=True)


def _salt(copy: Path) -> str | None:
    try:
        found = SALT.search(copy.read_text())
    except OSError:
        return None
    return found[0] if found else None


def _write(path: Path, text: str) -> None:
    """Write in one step: two commands may run at the same time."""
    try:
        if path.read_text() == text:
            return
    except OSError:
        pass
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
