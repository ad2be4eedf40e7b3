"""`python -m ci.previews`: the preview of every checked-in stack as JSON, against stand-ins, without a credential.

Each stack is previewed from an empty state, so everything in it is created; what a change costs and loses compared to
what runs is seen by `--real`, which reads the state of the backend and asks the clouds.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ci.derive import config_of
from ci.project import PULUMI, REPOSITORY
from stacks import stackfile

# The local stack's preview needs an API server and no node: nothing is built for it but the control plane.
INSTANCE = "preview"
FLAGS = ("--json", "--show-sames", "--non-interactive")


def stacks() -> list[str]:
    """The checked-in stacks: those that nobody made for a while."""
    return [name for name in stackfile.names() if not config_of(name).get("llmops:ephemeral")]


def hermetic(stack: str) -> subprocess.CompletedProcess[str]:
    """One stack against the stand-ins."""
    environment = {**os.environ, "LLMOPS_INSTANCE": os.environ.get("LLMOPS_INSTANCE") or INSTANCE}
    if "local" in (config_of(stack).get("llmops:targets") or ["local"]):
        start = [sys.executable, "-m", "sandbox.cluster", "start", "--control-plane"]
        subprocess.run(start, cwd=REPOSITORY, env=environment, check=False, stdout=subprocess.DEVNULL)
        return real(stack, environment)
    call = [sys.executable, "-m", "sandbox", "preview", "--stack", stack, "--", *FLAGS]
    return subprocess.run(call, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False)


def real(stack: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One stack by the Pulumi CLI and the backend that the environment names."""
    call = [str(PULUMI), "preview", "--stack", stack, *FLAGS]
    return subprocess.run(call, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `<out>/<stack>.json` for each stack. A failed preview is no failure here: the comment says it."""
    parser = argparse.ArgumentParser(prog="python -m ci.previews", description=__doc__)
    parser.add_argument("stack", nargs="*", help="which stacks; all checked-in ones without it")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--real", action="store_true", help="with credentials, against the backend's state")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for stack in given.stack or stacks():
        done = real(stack) if given.real else hermetic(stack)
        (given.out / f"{stack}.json").write_text(done.stdout)
        print(f"{stack}: {'previewed' if done.returncode == 0 else f'failed ({done.returncode})'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
