"""`python -m sandbox.standin list|delete NAME`: the pretended clusters of the current sandbox."""

import argparse
import sys

from sandbox import cluster, paths, standin
from sandbox.cluster.errors import ClusterError


def main() -> int:
    """Run one command; errors are one sentence on standard error and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.standin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show them: name, platform, state, kubeconfig")
    delete = commands.add_parser("delete", help="stop one and forget everything in it")
    delete.add_argument("name")
    arguments = parser.parse_args()
    try:
        if arguments.command == "list":
            for entry in standin.list():
                state = "running" if cluster.status(entry.instance).running else "stopped"
                print(f"{entry.name:32} {entry.platform:12} {state:8} {paths.kubeconfig(entry.instance)}")
        elif all(entry.name != arguments.name for entry in standin.list()):
            raise ClusterError(f"There is no pretended cluster '{arguments.name}' in sandbox '{paths.instance()}'.")
        else:
            standin.delete(arguments.name)
    except (ClusterError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
