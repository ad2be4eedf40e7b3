"""`python -m sandbox.images build|load|list [NAME…]`."""

import argparse
import sys

from sandbox import images
from sandbox.cluster.errors import ClusterError
from sandbox.images.catalogue import catalogue
from sandbox.toolchain.errors import ToolchainError


def main() -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.images", description=images.__doc__)
    parser.add_argument("command", choices=("build", "load", "list"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="images (default: all)")
    given = parser.parse_args()
    names = given.names or list(images.NAMES)
    try:
        if given.command == "list":
            for image in catalogue().values():
                print(f"{image.name:12} {image.reference}")
        elif given.command == "build":
            images.build(names)
        else:
            images.ensure(names)
    except (ClusterError, ToolchainError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
