"""The images that this repository builds itself, tagged by the content of their sources."""

import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What an image is made of. Whatever changes one of these files changes the tag, so a changed image always
# rolls out and an unchanged one never does.
SOURCES = {
    "frontend": ("frontend", "sandbox/images/frontend"),
    "engine": ("engine", "sandbox/images/engine"),
    # The models' code is published with each version; the image holds only what it runs on.
    "triton-cpu": ("engine/triton_cpu/requirements.txt", "sandbox/images/triton-cpu"),
}
SKIPPED = {"__pycache__", ".pytest_cache", "tests"}


def source_files(name: str) -> list[Path]:
    """The files an image is built from, sorted. Raises KeyError for a name that is not ours."""
    found: list[Path] = []
    for source in (ROOT / name for name in SOURCES[name]):
        found += [source] if source.is_file() else [path for path in sorted(source.rglob("*")) if path.is_file()]
    return [path for path in found if not SKIPPED.intersection(path.relative_to(ROOT).parts)]


@functools.cache
def source_tag(name: str) -> str:
    """Twelve hexadecimal digits over the names and contents of an image's sources."""
    digest = hashlib.sha256()
    for path in source_files(name):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def own_image(registry: str, name: str) -> str:
    """The full reference of one of our images, e.g. `localhost/llmops/frontend:3f2a91c07d15`."""
    return f"{registry}/{name}:{source_tag(name)}"
