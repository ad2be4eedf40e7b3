"""Where the cluster's programs are: our own builds from the toolchain, Debian's from PATH."""

import shutil
from pathlib import Path

from sandbox.cluster.components import PATH
from sandbox.cluster.errors import ClusterError
from sandbox.toolchain import binary

DEBIAN = {"etcd": "etcd-server", "containerd": "containerd", "unshare": "util-linux", "ip": "iproute2"}


def program(name: str) -> Path:
    """The program's path. Raises ClusterError naming the Debian package to install."""
    if name not in DEBIAN:
        return binary(name)
    found = shutil.which(name, path=PATH)
    if found is None:
        raise ClusterError(
            f"The program '{name}' is missing: install it with 'apt-get install --no-install-recommends "
            f"{DEBIAN[name]}' or run 'make doctor'."
        )
    return Path(found)
