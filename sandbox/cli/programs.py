"""The CLI and its language host, side by side, and the provider process."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from sandbox import paths, toolchain
from sandbox.toolchain import store

HOST = """\
#!/bin/sh
# The Python language host; Pulumi looks for it beside its own program.
PYTHONPATH={repository} exec {python} -m sandbox.host "$@"
"""
PR_SET_PDEATHSIG = 1


def cli() -> Path:
    """The Pulumi CLI with our language host beside it, where the engine looks first."""
    built = toolchain.pulumi_program()
    script = HOST.format(repository=paths.REPOSITORY, python=sys.executable)
    home = paths.cache_root() / "pulumi" / store.content_key([], str(built), script)
    program = home / "pulumi"
    if not program.is_file():
        home.mkdir(parents=True, exist_ok=True)
        host = home / "pulumi-language-python"
        host.write_text(script)
        host.chmod(0o755)
        part = home / f".pulumi.{os.getpid()}"
        os.link(built, part)
        os.replace(part, program)
    return program


def start_provider() -> tuple[subprocess.Popen[str], str]:
    """Start the provider process; the process, and what PULUMI_DEBUG_PROVIDERS is to be."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.provider"],
        stdout=subprocess.PIPE,
        text=True,
        # Apart from the terminal: on Ctrl-C the engine still has questions to ask it.
        start_new_session=True,
        preexec_fn=_end_with_parent,
    )
    assert process.stdout is not None
    attached = process.stdout.readline().strip()
    if not attached:
        raise RuntimeError("the provider process did not start; its error stands above")
    return process, attached


def _end_with_parent() -> None:
    """Ask the kernel to end this process with its parent, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
