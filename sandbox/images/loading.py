"""Importing built images into a running instance's containerd."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox import paths
from sandbox.images import building
from sandbox.progress import Progress, Step
from sandbox.toolchain.errors import ToolchainError

WORKERS = 2  # unpacking is a matter of processors
NAMESPACE = "k8s.io"  # where the kubelet looks


def load(names: list[str], instance: str | None, progress: Progress) -> None:
    """Import the images that the instance lacks or has with other content."""
    from sandbox.cluster import handle

    cluster = handle.find(instance or paths.instance())
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

    def importer(reference: str, path: Path) -> Callable[[Step], None]:
        def work(_step: Step) -> None:
            _ctr(cluster.socket(), "images", "import", str(path))
            imported[reference] = path.name

        return work

    progress.parallel({f"Import image {name}": importer(*pair) for name, pair in missing.items()}, WORKERS)
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
