"""Which project the CLI works on.

Pulumi writes a stack's encryption salt into its stack file. The local stack's passphrase is this machine's own, so
that line does not belong into the checked-in file: the CLI works on a copy of the project, refreshed from the
repository at every command, that keeps its own salts. A stack file that brings a salt or a secrets provider of its
own is a team's, and is used where it is.
"""

import os
import re
from pathlib import Path

from sandbox import paths, stackfile

OWN_SECRETS = re.compile(r"^(encryptionsalt|secretsprovider|encryptedkey):", re.MULTILINE)
SALT = re.compile(r"^encryptionsalt:.*$", re.MULTILINE)


def directory(arguments: list[str], stack: str | None) -> Path | None:
    """Where the CLI is to run, or None for the caller's own directory and `-C`."""
    if any(a in ("-C", "--cwd") or a.startswith("--cwd=") for a in arguments):
        return None
    here = Path.cwd()
    if here != paths.REPOSITORY and (here / "Pulumi.yaml").is_file():
        return None  # a project of the caller's
    if arguments[:1] == ["config"]:
        return stackfile.directory() if (stackfile.directory() / "Pulumi.yaml").is_file() else paths.REPOSITORY
    if stack and stackfile.path(stack).is_file() and OWN_SECRETS.search(stackfile.path(stack).read_text()):
        return paths.REPOSITORY
    return _copy()


def _copy() -> Path:
    """The private copy, brought up to date."""
    private = paths.state_dir() / "project"
    private.mkdir(parents=True, exist_ok=True)
    described = (paths.REPOSITORY / "Pulumi.yaml").read_text().rstrip()
    _write(private / "Pulumi.yaml", f"{described}\nmain: {paths.REPOSITORY}\n")
    for source in sorted(stackfile.directory().glob("Pulumi.*.yaml")):
        target = private / source.name
        kept = SALT.search(target.read_text()) if target.is_file() else None
        text = source.read_text().rstrip()
        _write(target, f"{text}\n{kept[0]}\n" if kept and not OWN_SECRETS.search(text) else f"{text}\n")
    return private


def _write(path: Path, text: str) -> None:
    """Replace a file at once, unless it says the same already."""
    if path.is_file() and path.read_text() == text:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    os.replace(part, path)
