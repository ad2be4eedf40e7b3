"""What this machine's kernel can do, tried for real in namespaces that vanish with the try."""

import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# Capability numbers from linux/capability.h, and what each is needed for.
CAPABILITIES = {
    "CAP_CHOWN": (0, "unpacking images"),
    "CAP_DAC_OVERRIDE": (1, "unpacking images"),
    "CAP_KILL": (5, "ending containers"),
    "CAP_SETGID": (6, "containers' own groups"),
    "CAP_SETUID": (7, "containers' own users"),
    "CAP_NET_ADMIN": (12, "the cluster's network"),
    "CAP_SYS_CHROOT": (18, "containers"),
    "CAP_SYS_ADMIN": (21, "namespaces and mounts"),
    "CAP_MKNOD": (27, "containers' devices"),
    "CAP_SETFCAP": (31, "building images"),
}

# Tried in this order in one fresh mount and network namespace: name -> shell command.
TRIES = {
    "bridge": "ip link add try0 type bridge",
    "veth": "ip link add try1 type veth peer name try2",
    "nftables": "nft add table inet try && nft add chain inet try c '{ type nat hook prerouting priority 0; }'",
    "overlayfs": 'mount -t overlay try -o "lowerdir=$D/l,upperdir=$D/u,workdir=$D/w" "$D/m"',
}
TOOLS = {"bridge": "ip", "veth": "ip", "nftables": "nft", "overlayfs": "mount"}
OPTIONS = {"bridge": "BRIDGE", "veth": "VETH", "nftables": "NF_TABLES", "overlayfs": "OVERLAY_FS"}


def missing_capabilities(status: str) -> dict[str, str]:
    """The needed capabilities that `/proc/self/status` (its text) does not show as effective, with their use."""
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return {name: use for name, (bit, use) in CAPABILITIES.items() if not effective >> bit & 1}


def refused(directory: Path, seconds: float = 5.0) -> dict[str, str]:
    """The features that do not work here, with the kernel's words. `directory` is where layers will be mounted.

    A feature whose tool is not installed yet is not tried; `unconfigured` can say something about it. Raises
    OSError or subprocess.TimeoutExpired when the namespaces themselves cannot be had.
    """
    tries = {name: command for name, command in TRIES.items() if shutil.which(TOOLS[name])}
    with tempfile.TemporaryDirectory(dir=directory, prefix=".try-") as work:
        for part in "luwm":
            (Path(work) / part).mkdir()
        script = "\n".join(
            f'said=$({{ {command}; }} 2>&1) && echo "{name}=" || echo "{name}=failed: $said" | tr "\\n" " "; echo'
            for name, command in tries.items()
        )
        done = subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "sh", "-c", script],
            env=os.environ | {"D": work},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    if done.returncode:
        raise OSError(done.stderr.strip() or "unshare failed")
    answers = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {
        name: answers.get(name, "no answer").removeprefix("failed: ").strip() or "failed"
        for name in tries
        if answers.get(name) != ""
    }


def unconfigured(features: list[str], configuration: str | None) -> list[str]:
    """The features that the kernel's configuration (its text) rules out; none when there is no configuration."""
    if configuration is None:
        return []
    lines = set(configuration.splitlines())
    return [name for name in features if not lines & {f"CONFIG_{OPTIONS[name]}=y", f"CONFIG_{OPTIONS[name]}=m"}]


def configuration() -> str | None:
    """The running kernel's build configuration, where the machine tells it."""
    packed, plain = Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")
    try:
        if packed.exists():
            return gzip.decompress(packed.read_bytes()).decode()
        return plain.read_text() if plain.exists() else None
    except OSError:
        return None
