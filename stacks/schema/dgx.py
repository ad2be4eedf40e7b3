"""A cluster of DGX or HGX machines that exists already."""

from typing import Literal

from pydantic import Field

from stacks.schema.base import Model, Name


class GpuPool(Model):
    """Nodes with GPUs of one kind, found by their labels."""

    name: Name  # what models name as their `pool`
    machine: str = "dgx-h100"  # see stacks/machines.py
    nodes: int = Field(ge=1)  # how many there are
    selector: dict[str, str] = Field(default_factory=dict)  # labels of these nodes, beside the GPU Operator's own


class Dgx(Model):
    """A cluster of DGX or HGX machines that exists already."""

    distribution: Literal["kubernetes", "openshift"] = "kubernetes"
    kubeconfig: str | None = None  # its kubeconfig's path; none: $KUBECONFIG, or the sandbox's pretended cluster
    context: str | None = None  # which of its contexts; none: the current one
    pools: tuple[GpuPool, ...] = Field(min_length=1)
