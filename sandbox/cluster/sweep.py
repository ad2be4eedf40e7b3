"""Removes what containers of an earlier cluster left in containerd's store; images stay.

`python -m sandbox.cluster.sweep CONTAINERD CONFIG ROOT`. After kill -9 the store still names containers, sandboxes
and their snapshots; the kubelet's plugin would try to revive them. So containerd runs once without that plugin.
"""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from sandbox.cluster.plan import CONTAINERD_SOCKET

CRI = "io.containerd.grpc.v1.cri"


def stale(root: Path) -> bool:
    """Whether the kubelet's plugin has containers or sandboxes on record."""
    return any(any((root / CRI / kind).glob("*")) for kind in ("containers", "sandboxes"))


def unused_snapshots(listing: str) -> list[str]:
    """The snapshots in `ctr snapshots ls` that are not layers of an image, children first."""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return [row[0] for row in reversed(rows) if row and row[-1] in ("Active", "View")]


def _ctr(*arguments: str) -> str:
    argv = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _answers() -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(CONTAINERD_SOCKET)
    except OSError:
        return False
    return True


def sweep(containerd: str, config: str, root: Path) -> None:
    """Remove containers, then their snapshots, then the plugin's records."""
    daemon = subprocess.Popen([containerd, "--config", config, "--log-level", "warn"])
    try:
        deadline = time.monotonic() + 20
        while not _answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("containerd did not start to be swept.")
            time.sleep(0.02)  # nothing announces the socket
        if containers := _ctr("containers", "list", "--quiet").split():
            _ctr("containers", "rm", *containers)
        if snapshots := unused_snapshots(_ctr("snapshots", "list")):
            _ctr("snapshots", "rm", *snapshots)
    finally:
        daemon.terminate()
        daemon.wait()
    for kind in ("containers", "sandboxes"):
        shutil.rmtree(root / CRI / kind, ignore_errors=True)
    shutil.rmtree(root / "io.containerd.runtime.v2.task", ignore_errors=True)


if __name__ == "__main__":
    if stale(Path(sys.argv[3])):
        sweep(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
