"""The Pulumi CLI with our language host beside it, where the CLI looks first."""

import hashlib
import os
import shlex
import shutil
import sys
from pathlib import Path

from sandbox.paths import REPOSITORY, cache_root

HOST = "pulumi-language-python"


def attached(pulumi: Path) -> Path:
    """A copy of the CLI (a hard link where possible) in a folder with a language host for this environment."""
    status = pulumi.stat()
    script = _script()
    key = hashlib.sha256(f"{pulumi}\0{status.st_size}\0{status.st_mtime_ns}\0{script}".encode()).hexdigest()[:12]
    folder = cache_root() / "pulumi-home" / f"bin-{key}"
    if (folder / HOST).is_file() and (folder / "pulumi").is_file():
        return folder / "pulumi"
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # Not a symbolic link: the CLI resolves its own path and would look beside the original.
    try:
        os.link(pulumi, part / "pulumi")
    except OSError:
        shutil.copy2(pulumi, part / "pulumi")
    (part / HOST).write_text(script)
    (part / HOST).chmod(0o755)
    try:
        part.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(part, ignore_errors=True)
    return folder / "pulumi"


def _script() -> str:
    path = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
    start = path + "from sandbox.host.server import serve; serve(sys.argv[1:])"
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u -P -c {shlex.quote(start)} "$@"\n'
