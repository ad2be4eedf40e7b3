"""Importing built images into a running instance's containerd."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import paths
from sandbox.images import building
from sandbox.progress import Progress
from sandbox.toolchain.errors import ToolchainError

NAMESPACE = "k8s.io"  # where the kubelet looks


def load(names: list[str], instance: str | None, progress: Progress) -> None:
    """Import the images that the instance lacks or has with other content."""
    from sandbox.cluster import lifecycle

    cluster = lifecycle.find(instance or paths.instance())
    wanted = building.archives(names, progress)
    record = paths.containerd_root(cluster.instance) / "imported.json"
    imported = _read(record)
    there = set(_ctr(cluster.socket(), "images", "ls", "-q").split())
    missing = {
        name: (image.reference, path)
        for name, (image, path) in wanted.items()
        if image.reference not in there or imported.get(image.reference) != path.name
    }
    if not missing:
        return

    def one(name: str) -> None:
        reference, path = missing[name]
        with progress.step(f"Import image {name}"):
            _ctr(cluster.socket(), "images", "import", str(path))
            imported[reference] = path.name

    progress.plan(f"Import image {name}" for name in missing)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one, name) for name in missing]:
            done.result()
    record.write_text(json.dumps(imported, indent=1, sort_keys=True))


def _read(record: Path) -> dict[str, str]:
    try:
        return json.loads(record.read_text())
    except (OSError, ValueError):
        return {}


def _ctr(socket: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["ctr", f"--address={socket}", f"--namespace={NAMESPACE}", *arguments], capture_output=True, text=True
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ToolchainError(f"containerd refused {' '.join(arguments[:2])}: {said[-1] if said else done.returncode}")
    return done.stdout
