"""The models that are served."""

from typing import Literal

from pydantic import Field

from stacks.schema.base import Model, Name, Version


class Resources(Model):
    """What one serving pod asks of its node, in Kubernetes quantities."""

    # None: 100m, 384Mi and 1Gi in mode `cpu`; else half of the machine's CPUs and memory for its share of the GPUs, and
    # four fifths of that memory as the limit.
    cpu: str | None = None  # requested for Triton
    memory: str | None = None  # requested for Triton
    memory_limit: str | None = None  # Triton is ended beyond it


class Parallelism(Model):
    """How one replica of a model is spread over GPUs; their product is the GPUs that a replica takes."""

    tensor: int = Field(default=1, ge=1, le=64)  # GPUs that share every layer
    pipeline: int = Field(default=1, ge=1, le=64)  # groups of GPUs that hold consecutive layers


class Shape(Model):
    """The model's own sizes, from its config.json: what its memory is reckoned from."""

    parameters_billion: float = Field(gt=0)  # billions of parameters
    layers: int = Field(ge=1)  # num_hidden_layers
    kv_heads: int = Field(ge=1)  # num_key_value_heads
    head_size: int = Field(ge=1)  # head_dim


class ServedModel(Model):
    """One model that the platform serves."""

    name: Name  # what clients name in a request's `model`
    # `cpu`: Triton's python backend on OpenVINO, for machines without a GPU. `engine`: an engine built by
    # TensorRT-LLM 1.2. `llmapi`: a checkpoint, served by TensorRT-LLM's LLM API.
    mode: Literal["cpu", "engine", "llmapi"] = "cpu"
    version: Version = "1"  # the published version that is served
    # Where the sandbox takes the checkpoint from: `builtin:tiny`, or a directory in Hugging Face's layout.
    source: str = "builtin:tiny"
    replicas: int = Field(default=3, ge=1, le=64)
    pool: Name | None = None  # the node group or pool whose GPUs it runs on; needed by `engine` and `llmapi`
    parallelism: Parallelism = Parallelism()
    precision: Literal["fp16", "bf16", "fp8", "int4-awq", "nvfp4"] = "bf16"  # of the weights
    shape: Shape | None = None  # needed by `engine` and `llmapi`: whether it fits is reckoned before anything is made
    max_batch_size: int = Field(default=16, ge=1, le=4096)  # sequences generated at once, by one replica
    max_input_tokens: int = Field(default=768, ge=1)  # tokens
    max_output_tokens: int = Field(default=256, ge=1)  # tokens; also the most that one request may reserve
    drain_seconds: int = Field(default=30, ge=1, le=3600)  # longest answer that a leaving replica still finishes
    # Longest that a replica with GPUs may take from its files being there until it answers, seconds.
    load_seconds: int = Field(default=1800, ge=60, le=14_400)
    # What a version may take in a pod that copies it from an object store, GiB; none: 1.2 times its weights and 2 more.
    copy_gib: int | None = Field(default=None, ge=1, le=10_000)
    resources: Resources = Resources()
