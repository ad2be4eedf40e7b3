"""Which images there are, under which names, and what goes into their build contexts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.images import own_image
from sandbox.images import contexts
from sandbox.toolchain.errors import ToolchainError
from stacks.versions import Versions

HERE = Path(__file__).parent
VERSIONS = Versions()
REGISTRY = "localhost/llmops"  # the settings' own default; importing them would load Pulumi, half a second


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: its full name, and the parts of its build context, each a directory name and what fills it."""

    name: str
    reference: str
    parts: dict[str, Callable[[], Path]]

    @property
    def containerfile(self) -> Path:
        """Copies the parts; nothing is ever run while building."""
        return HERE / self.name / "Containerfile"


def _own(name: str) -> str:
    return own_image(REGISTRY, name)


def _program(name: str) -> Callable[[], Path]:
    return lambda: contexts.program(name)


def catalogue() -> dict[str, Image]:
    """All images by short name."""
    glibc, python = contexts.libraries, contexts.python
    images = (
        Image(name="pause", reference="registry.k8s.io/pause:3.10", parts={"pause": contexts.pause}),
        Image(
            name="coredns",
            reference="registry.k8s.io/coredns/coredns:v1.15.0",
            parts={"coredns": _program("coredns")},
        ),
        Image(name="epp", reference=VERSIONS.endpoint_picker_image, parts={"base": glibc, "epp": _program("epp")}),
        Image(
            name="ratelimit",
            reference=VERSIONS.ratelimit_image,
            parts={"base": glibc, "ratelimit": _program("ratelimit")},
        ),
        Image(
            name="gateway",
            reference=VERSIONS.envoy_gateway_image,
            parts={"base": glibc, "gateway": _program("envoy-gateway")},
        ),
        Image(name="envoy", reference=VERSIONS.envoy_image, parts={"base": glibc, "envoy": _program("envoy")}),
        Image(name="redis", reference=VERSIONS.redis_image, parts={"base": glibc, "redis": contexts.redis}),
        Image(
            name="frontend",
            reference=_own("frontend"),
            parts={
                "python": python,
                "site": lambda: contexts.site_packages(
                    "frontend/requirements.txt", "/usr/local/lib/site", unused=contexts.UNUSED_HUB
                ),
                "app": lambda: contexts.sources("frontend"),
            },
        ),
        Image(
            name="engine",
            reference=_own("engine"),
            parts={"python": python, "app": lambda: contexts.sources("engine")},
        ),
        Image(
            name="triton-cpu",
            reference=_own("triton-cpu"),
            parts={
                "python": python,
                "triton": contexts.triton,
                "site": lambda: contexts.site_packages(
                    "engine/triton_cpu/requirements.txt",
                    "/opt/tritonserver/backends/python",
                    unused=contexts.UNUSED_ON_CPU,
                    dependencies=False,
                ),
            },
        ),
    )
    return {image.name: image for image in images}


NAMES = tuple(catalogue())


def select(names: list[str]) -> list[Image]:
    """The images of these short names. Raises ToolchainError for a name there is none of."""
    known = catalogue()
    for name in names:
        if name not in known:
            raise ToolchainError(f"There is no image {name!r}; there is {', '.join(known)}.")
    return [known[name] for name in names]
