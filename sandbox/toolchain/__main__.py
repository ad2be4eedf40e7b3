"""`python -m sandbox.toolchain`: build the sandbox's tools, say where one is, or list them."""

import argparse
import sys

from sandbox import toolchain
from sandbox.progress import Progress
from sandbox.toolchain import families, golang, wheels
from sandbox.toolchain.errors import ToolchainError

BY_DEFAULT = [feature for feature in families.FEATURES if feature not in ("fake-nodes", "lint")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.toolchain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is missing: some programs, or what features need")
    build.add_argument("program", nargs="*", help="a program's name; none means everything the features need")
    build.add_argument("--feature", action="append", help=f"one of {', '.join(families.FEATURES)}; repeatable")
    path = commands.add_parser("path", help="print where a program is, building it if need be")
    path.add_argument("program")
    commands.add_parser("list", help="every program: what it belongs to, and whether it is there")
    return parser.parse_args()


def _list() -> None:
    for family in families.FAMILIES:
        for program in family.programs:
            there = "built" if golang.path(program.name).is_file() else "-"
            print(f"{program.name:24} {there:8} {program.feature:14} {family.name:12} {program.package}")
    for wheel in families.WHEELS:
        there = "fetched" if wheels.unpacked(wheel).is_dir() else "-"
        print(f"{wheel.program:24} {there:8} {wheel.feature:14} {'wheel':12} {wheel.name}=={wheel.version}")


def main() -> int:
    """Run one command; 1 and a sentence on standard error when a tool cannot be provided."""
    arguments = _arguments()
    try:
        if arguments.command == "list":
            _list()
        elif arguments.command == "path":
            print(toolchain.binary(arguments.program))
        elif arguments.program:
            for path in toolchain.build(arguments.program, Progress()).values():
                print(path)
        else:
            toolchain.ensure(arguments.feature or BY_DEFAULT, Progress())
    except ToolchainError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("toolchain: interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
