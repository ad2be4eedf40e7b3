"""Container images for CPUs, built from registry packages under the names that the manifests use.

No image registry is reachable from here: every file system is assembled from Go programs, wheels and Debian packages,
and every Containerfile only copies. Images are kept in the cache by content and imported into containerd once.
"""

from collections.abc import Iterable

from sandbox.images import building, loading
from sandbox.images.catalogue import NAMES
from sandbox.progress import Progress

__all__ = ["NAMES", "build", "ensure", "load"]


def build(names: Iterable[str], progress: Progress | None = None) -> None:
    """Build the images that the cache lacks. Raises ToolchainError."""
    building.build(list(names), progress or Progress())


def load(names: Iterable[str], progress: Progress | None = None, instance: str | None = None) -> None:
    """Import built images into the running instance, those it lacks. Raises ToolchainError."""
    loading.load(list(names), instance, progress or Progress())


def ensure(names: Iterable[str], instance: str | None = None, progress: Progress | None = None) -> None:
    """Build what is missing and import it into the running instance."""
    names = list(names)
    build(names, progress)
    load(names, progress, instance)
