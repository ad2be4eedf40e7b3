"""Which pretended clusters there are, and which instance of the sandbox's cluster each of them is."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox import paths
from sandbox.standin.reserved import Platform
from sandbox.tables import read, table


@dataclass(frozen=True)
class Endpoint:
    """How a pretended cluster is reached: its API server, that server's authority, the administrator's kubeconfig."""

    server: str
    ca_pem: bytes
    kubeconfig: Path


@dataclass(frozen=True, kw_only=True)
class Pretended:
    """One pretended cluster."""

    name: str
    sandbox: str  # the instance that it belongs to
    instance: str  # the instance that it is
    platform: Platform
    server: str = ""  # empty until it was started once


def instance_of(name: str) -> str:
    """The instance of a cluster: ten characters that no other cluster, sandbox or state directory shares."""
    seed = f"{paths.state_root()}\0{paths.instance()}\0{name}"
    return "p-" + hashlib.sha256(seed.encode()).hexdigest()[:8]


def remember(entry: Pretended) -> None:
    """Add or replace a cluster."""
    with table(_path()) as rows:
        rows[_key(entry.name)] = asdict(entry)


def forget(name: str) -> None:
    """Remove a cluster of the current sandbox."""
    with table(_path()) as rows:
        rows.pop(_key(name), None)


def find(name: str) -> Pretended | None:
    """A cluster of the current sandbox."""
    row = read(_path()).get(_key(name))
    return Pretended(**row) if row else None


def current() -> tuple[Pretended, ...]:
    """The current sandbox's clusters, by name."""
    entries = [Pretended(**row) for row in read(_path()).values()]
    return tuple(sorted((e for e in entries if e.sandbox == paths.instance()), key=lambda entry: entry.name))


def credentials(server: str) -> str | None:
    """The administrator's kubeconfig of whichever sandbox's cluster answers at `server`."""
    for row in read(_path()).values():
        file = paths.kubeconfig(row["instance"])
        if row["server"] == server.rstrip("/") and file.is_file():
            return file.read_text()
    return None


def _path() -> Path:
    return paths.state_root() / "standin.json"


def _key(name: str) -> str:
    return f"{paths.instance()}/{name}"
