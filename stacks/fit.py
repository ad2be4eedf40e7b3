"""Whether a model fits the GPUs that it names: plain arithmetic, before anything is made or paid for.

Weights: bytes a parameter by precision. Four-bit formats carry scales, and leave the embeddings as they were: NVFP4
keeps an FP8 scale for every 16 values (4.5 bits; NVIDIA, "Introducing NVFP4", 2025), AWQ a 16-bit scale and zero
point for every 128 (TensorRT-LLM, examples/quantization/quantize.py); 0.56 covers both with the embeddings of the
models we looked at. KV cache: a key and a value of 16 bits for each layer, KV head and token (TensorRT-LLM,
docs/source/features/kvcache.md), for as many sequences of full length as are generated at once. The runtime keeps
2 GiB a GPU (CUDA context, NCCL, activations), and of the rest a tenth stays free: TensorRT-LLM's own default of
kv_cache_free_gpu_mem_fraction is 0.9.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stacks.machines import Machine
from stacks.schema.models import ServedModel, Shape

GIB = 1 << 30
WEIGHT_BYTES = {"fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int4-awq": 0.56, "nvfp4": 0.56}
KV_BYTES = 2
RUNTIME_GIB = 2.0
FREE_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One replica of a model on one kind of machine; sizes in GiB."""

    gpus: int  # of the replica
    nodes: int  # that the replica spans
    weights_gib: float  # all of them
    kv_cache_gib: float  # all of it
    needed_gib: float  # of each GPU
    usable_gib: float  # of each GPU

    @property
    def gpus_per_node(self) -> int:
        """What one pod asks for."""
        return self.gpus // self.nodes

    @property
    def fits(self) -> bool:
        """Whether each GPU has what it needs."""
        return self.needed_gib <= self.usable_gib


def weights_gib(shape: Shape, precision: str) -> float:
    """The size of a model's weights."""
    return shape.parameters_billion * 1e9 * WEIGHT_BYTES[precision] / GIB


def fit(model: ServedModel, shape: Shape, machine: Machine) -> Fit:
    """The arithmetic for one replica on machines of this type, which must have GPUs."""
    assert machine.gpu is not None
    tensor, pipeline = model.parallelism.tensor, model.parallelism.pipeline
    gpus = tensor * pipeline
    weights = weights_gib(shape, model.precision)
    tokens = (model.max_input_tokens + model.max_output_tokens) * model.max_batch_size
    kv_cache = 2 * shape.layers * shape.kv_heads * shape.head_size * KV_BYTES * tokens / GIB
    # More GPUs than KV heads: each head's cache is kept on several.
    kv_parts = min(tensor, shape.kv_heads) * pipeline
    return Fit(
        gpus=gpus,
        nodes=-(-gpus // machine.gpus),
        weights_gib=weights,
        kv_cache_gib=kv_cache,
        needed_gib=weights / gpus + kv_cache / kv_parts,
        usable_gib=(machine.gpu.memory_gib - RUNTIME_GIB) * (1 - FREE_SHARE),
    )


def nodes_needed(machine: Machine, replicas: Iterable[Fit]) -> int:
    """The fewest nodes that hold these replicas together, the largest placed first."""
    whole, free = 0, list[int]()
    for replica in sorted(replicas, key=lambda fit: -fit.gpus):
        if replica.nodes > 1:
            whole += replica.nodes  # a replica that spans nodes has them to itself
            continue
        for i, left in enumerate(free):
            if left >= replica.gpus:
                free[i] -= replica.gpus
                break
        else:
            free.append(machine.gpus - replica.gpus)
    return whole + len(free)
