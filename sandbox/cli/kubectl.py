"""kubectl with the instance's kubeconfig: the machine's own if there is one, else the sandbox's."""

import os
import shutil
import sys

from sandbox import paths, toolchain


def main() -> None:
    """Become kubectl."""
    config = paths.kubeconfig()
    if not config.is_file():
        sys.exit(f"kubectl: the sandbox of instance '{paths.instance()}' is not running: run 'make up'.")
    program = shutil.which("kubectl") or str(toolchain.binary("kubectl"))
    os.execve(program, ["kubectl", *sys.argv[1:]], {**os.environ, "KUBECONFIG": str(config)})


if __name__ == "__main__":
    main()
