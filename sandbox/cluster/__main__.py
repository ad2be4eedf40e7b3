"""`python -m sandbox.cluster start|stop|status|leftovers`: the cluster alone, without the platform."""

import argparse
import json
import sys
from dataclasses import asdict

from sandbox import cluster
from sandbox.cluster.errors import ClusterError
from sandbox.paths import instance
from sandbox.progress import Progress
from sandbox.toolchain import ToolchainError


def main() -> int:
    """Run one command; errors are one sentence on standard error and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start the cluster; prints the kubeconfig's path")
    start.add_argument("--control-plane", action="store_true", help="no node: API server and controllers only")
    stop = commands.add_parser("stop", help="stop it; nothing stays on the host but its state directory")
    stop.add_argument("--delete", action="store_true", help="delete its state (etcd, certificates) too")
    show = commands.add_parser("status", help="show the components, their readiness and memory")
    show.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("leftovers", help="list what of the cluster is on the host")
    arguments = parser.parse_args()
    try:
        if arguments.command == "start":
            print(cluster.start("control-plane" if arguments.control_plane else "node", Progress()))
        elif arguments.command == "stop":
            cluster.stop(Progress(), delete=arguments.delete)
        elif arguments.command == "leftovers":
            found = cluster.leftovers()
            print("\n".join(found) or f"nothing of instance '{instance()}'")
            return 1 if found else 0
        else:
            return _show(arguments.json)
    except (ClusterError, ToolchainError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _show(as_json: bool) -> int:
    state = cluster.status()
    print(json.dumps(asdict(state), indent=1, default=str) if as_json else state)
    return 0 if state.ready else 1


if __name__ == "__main__":
    raise SystemExit(main())
