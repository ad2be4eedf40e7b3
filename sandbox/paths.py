"""Where the sandbox keeps things: pure functions of the environment, read at every call."""

import os
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

DEFAULT_INSTANCE = "local"
# An instance's name becomes part of network interface names (15 bytes), cgroups and file names.
INSTANCE_NAME = re.compile(r"[a-z][a-z0-9-]{0,9}")


def _home() -> Path:
    return Path(os.environ.get("HOME") or "~").expanduser()


def cache_root() -> Path:
    """Everything that can be rebuilt from its pins, kept across `make down`: `LLMOPS_CACHE` or the user's cache."""
    if chosen := os.environ.get("LLMOPS_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache").absolute() / "llmops"


def state_root() -> Path:
    """What running instances own: `LLMOPS_STATE` or the user's state directory."""
    if chosen := os.environ.get("LLMOPS_STATE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or _home() / ".local" / "state").absolute() / "llmops"


def instance() -> str:
    """The name of the running sandbox: `LLMOPS_INSTANCE` or "local".

    Raises ValueError with one sentence for a name that cannot be part of an interface's name.
    """
    name = os.environ.get("LLMOPS_INSTANCE") or DEFAULT_INSTANCE
    if not INSTANCE_NAME.fullmatch(name):
        raise ValueError(
            f"LLMOPS_INSTANCE is {name!r}: use at most ten small letters, digits and hyphens, a letter first."
        )
    return name


def state_dir(name: str | None = None) -> Path:
    """One instance's own state: `cluster/`, `models/`, `backend/`, `passphrase`."""
    return state_root() / (instance() if name is None else name)


def cluster_dir(name: str | None = None) -> Path:
    """The cluster's files of one instance: PKI, etcd, containerd, logs, kubeconfig."""
    return state_dir(name) / "cluster"


def kubeconfig(name: str | None = None) -> Path:
    """The administrator's kubeconfig of one instance (mode 0600, written when the cluster starts)."""
    return cluster_dir(name) / "kubeconfig"


def models_dir(name: str | None = None) -> Path:
    """The model store of one instance's local stack."""
    return state_dir(name) / "models"


def containerd_root(name: str | None = None) -> Path:
    """containerd's content store of one instance: in the cache, so that a warm start imports no image."""
    return cache_root() / "containerd" / (instance() if name is None else name)
