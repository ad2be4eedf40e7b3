"""The commands behind `make up`, `down`, `status`, `preview`, `render` and `clean`."""

import argparse
import sys
from collections.abc import Sequence

from sandbox import lifecycle
from sandbox.cluster.errors import ClusterError
from sandbox.models import ModelError
from sandbox.toolchain.errors import ToolchainError
from stacks.stackfile import StackFileError

# What a person can mend: told in one sentence, without a traceback.
KNOWN = (ClusterError, ModelError, StackFileError, ToolchainError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("up", "prepare the sandbox as far as the stack needs it, then `pulumi up`, then show a request that works"),
        ("down", "`pulumi destroy`, then stop the sandbox and remove its state"),
        ("preview", "prepare the sandbox, then `pulumi preview`"),
        ("status", "show the sandbox, the stack's outputs and its pods"),
        ("render", "write every Kubernetes object of the stack as YAML"),
        ("clean", "forget everything that was built"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name != "clean":
            command.add_argument("--stack", default="local", help="the stack's name (default: local)")
        if name == "render":
            command.add_argument("--out", required=True, help="directory to write to")
        if name in ("up", "down", "preview"):
            command.add_argument("pulumi", nargs="*", metavar="ARG", help="passed on to Pulumi, after --")
    given = parser.parse_args(arguments)
    try:
        return COMMANDS[given.command](given)
    except KNOWN as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{given.command}: {error.filename or 'input/output'}: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{given.command}: interrupted; run it again to go on where it stopped.", file=sys.stderr)
        return 130


COMMANDS = {
    "up": lambda given: lifecycle.up(given.stack, given.pulumi),
    "down": lambda given: lifecycle.down(given.stack, given.pulumi),
    "preview": lambda given: lifecycle.preview(given.stack, given.pulumi),
    "status": lambda given: lifecycle.status(given.stack),
    "render": lambda given: lifecycle.render(given.stack, given.out),
    "clean": lambda _given: lifecycle.clean(),
}

if __name__ == "__main__":
    sys.exit(main())
