"""`sandbox/pulumi <arguments>`: the Pulumi CLI with the sandbox attached."""

import os
import signal
import subprocess
import sys

import yaml

from sandbox import local, paths, stackfile, toolchain
from sandbox.cli import backend, programs, project
from sandbox.toolchain.errors import ToolchainError

# The commands that call providers. Others (version, stack output, config …) start a little sooner without them.
WORKING = frozenset({"up", "update", "preview", "pre", "refresh", "destroy", "down", "import", "watch", "state"})
CREATING = frozenset({"up", "update", "preview", "pre", "config", "import"})


def main() -> int:
    """Run one CLI command; its exit status."""
    arguments = sys.argv[1:]
    words = [word for word in arguments if not word.startswith("-")]
    command = words[0] if words else ""
    stack = _stack(arguments)
    directory = project.directory(arguments, stack)
    environment = {
        **local.environment(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **os.environ,
        **backend.environment(),
    }
    if (
        directory
        and stack
        and directory != paths.REPOSITORY
        and not stackfile.path(stack).is_file()
        and command in CREATING
    ):
        stackfile.read(stack)  # says which stacks there are
    own = toolchain.official_pulumi() is None
    pulumi = str(programs.cli()) if own else str(toolchain.pulumi_program())
    if directory:
        pulumi_in = [pulumi, "-C", str(directory)]
        if stack:
            _ready_stack(pulumi_in, environment, stack, command)
    else:
        pulumi_in = [pulumi]
    provider = None
    if own and command in WORKING:
        provider, environment["PULUMI_DEBUG_PROVIDERS"] = programs.start_provider()
    try:
        return _run([*pulumi_in, *arguments], environment)
    finally:
        if provider:
            provider.terminate()
            provider.wait()


def _ready_stack(pulumi: list[str], environment: dict[str, str], stack: str, command: str) -> None:
    """Make a stack that is not there yet, and unlock one whose command was killed."""
    name = yaml.safe_load((paths.REPOSITORY / "Pulumi.yaml").read_text())["name"]
    url = environment["PULUMI_BACKEND_URL"]
    if command in CREATING and not backend.has_stack(url, name, stack):
        made = subprocess.run(
            [*pulumi, "stack", "init", stack, "--no-select"], env=environment, capture_output=True, text=True
        )
        if made.returncode and "already exists" not in made.stderr:
            sys.exit(f"pulumi: the stack {stack!r} cannot be made: {made.stderr.strip()}")
    if command in WORKING:
        backend.remove_dead_locks(url, name, stack)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run the CLI in the foreground; interruptions are its own to handle."""
    # Ctrl-C reaches the whole terminal group, so the CLI as well: it cancels, and this process waits for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, env=environment, preexec_fn=_as_before)
    signal.signal(signal.SIGTERM, lambda _number, _frame: child.send_signal(signal.SIGINT))
    status = child.wait()
    return status if status >= 0 else 128 - status


def _as_before() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _stack(arguments: list[str]) -> str | None:
    for index, word in enumerate(arguments):
        if word in ("-s", "--stack") and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith("--stack="):
            return word.removeprefix("--stack=")
    return os.environ.get("PULUMI_STACK")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ToolchainError, stackfile.StackFileError, RuntimeError, ValueError) as error:
        sys.exit(f"pulumi: {error}")
