"""`sandbox/kubectl`: the kubectl of the cluster's own version, with the cluster's own kubeconfig."""

import os
import sys

from sandbox.paths import instance, kubeconfig


def entry() -> None:
    """Replace this process by kubectl."""
    from sandbox.toolchain import binary

    try:
        program, file = binary("kubectl"), kubeconfig()
        if not file.exists() and "KUBECONFIG" not in os.environ:
            raise RuntimeError(f"no cluster of the sandbox {instance()!r} has been started: run `make up`.")
    except (RuntimeError, ValueError) as error:
        print(f"sandbox/kubectl: {error}", file=sys.stderr)
        sys.exit(1)
    # The sandbox's own kubeconfig wins over a person's default one, which points at another cluster.
    environment = {**os.environ, "KUBECONFIG": str(file) if file.exists() else os.environ["KUBECONFIG"]}
    os.execve(program, ["kubectl", *sys.argv[1:]], environment)
