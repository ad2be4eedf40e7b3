"""The supervisor's own view of the machine: its directories, its kernel settings, its network.

Everything here happens inside fresh mount, network and UTS namespaces and goes away with them.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.cluster.plan import RUN, Plan

INTERFACE = "eth0"

# The kubelet sets these for the whole machine. It gets files of its own to write to instead, holding what it wants.
# (kubelet/pkg/cm setupKernelTunables, v1.37)
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def run(*argv: str) -> None:
    """Run a command; its own words become the error."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")


def enter(plan: Plan, wait: Callable[[float], None] = time.sleep) -> None:
    """Make the namespaces habitable. Raises RuntimeError with the failing command."""
    socket.sethostname(plan.node)
    _mounts(plan)
    _network(plan, wait)


def _mounts(plan: Plan) -> None:
    # `unshare` cut the propagation to the host; among ourselves volumes must reach the containers.
    run("mount", "--make-rshared", "/")
    for what, where in plan.binds:
        Path(what).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", what, where)
    for where in plan.tmpfs:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "llmops", where)
    settings = Path(RUN, "sysctl")
    settings.mkdir(parents=True)
    for name, value in KERNEL_SETTINGS.items():
        mine = settings / name.replace("/", ".")
        mine.write_text(value + "\n")
        if Path("/proc/sys", name).exists():
            run("mount", "--bind", str(mine), f"/proc/sys/{name}")


def _network(plan: Plan, wait: Callable[[float], None]) -> None:
    deadline = time.monotonic() + 10
    while INTERFACE not in (name for _, name in socket.if_nameindex()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the starter did not plug in {INTERFACE} within 10 s")
        wait(0.01)
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", plan.address, "dev", INTERFACE)
    run("ip", "link", "set", INTERFACE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # No default route: pods reach each other and the host's end of the cable, nothing else.
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
