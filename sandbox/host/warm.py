"""A runner that has its imports behind it before the engine asks for a program.

The engine needs half a second until it runs a program, and the SDK's modules take about as long to import. The
wrapper therefore starts a runner at once; the language host finds it through a socket. It imports what the same
program imported last time, stays without threads, and forks for every run.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.paths import cache_root, state_dir

PROGRAM = Path(__file__).with_name("program.py")
VARIABLE = "LLMOPS_WARM_PROGRAM"
LONGEST = 100  # bytes of a socket's path; the kernel's limit is 107


def modules_file(folder: Path) -> Path:
    """Where the names of the packages' modules that a program imported last are kept."""
    key = hashlib.sha256(f"2\0{sys.prefix}\0{os.path.realpath(folder)}".encode()).hexdigest()[:12]
    return cache_root() / "pulumi-home" / "modules" / f"{key}.json"


class WarmRunner:
    """The runner, as the wrapper holds it: it ends when this end of its standard input closes."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        place = state_dir() / "run"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(place)
        self.address = str(place / f"{os.getpid()}.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        if len(self.address.encode()) > LONGEST:
            self.address = ""
            return
        self._listener.bind(self.address)
        os.chmod(self.address, 0o600)  # whoever can write to it runs code as us
        self._listener.listen()
        descriptor = self._listener.fileno()
        command = [sys.executable, "-u", "-P", str(PROGRAM), "--warm", str(descriptor), str(modules_file(folder))]
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, pass_fds=(descriptor,), process_group=0
        )

    def close(self) -> None:
        """Remove the socket; the runner goes with this process."""
        self._listener.close()
        if self.address:
            Path(self.address).unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    """Remove sockets of commands that were killed."""
    for left in place.glob("*.sock"):
        if not Path(f"/proc/{left.stem}").exists():
            left.unlink(missing_ok=True)


def run(order: dict[str, object]) -> "socket.socket | None":
    """Hand a program to the warm runner; the connection, on which its exit code comes. None where there is none."""
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        data = json.dumps(order).encode() + b"\n"
        # The program's output is this process's: the engine reads it from here.
        socket.send_fds(connection, [data[:1]], [1, 2])
        connection.sendall(data[1:])
    except OSError:
        connection.close()
        return None
    return connection
