"""Whether a model fits: the arithmetic against sizes that are known."""

from typing import Any

import pytest

from stacks.fit import Fit, fit, nodes_needed, weights_gib
from stacks.machines import AWS, DGX
from stacks.schema.models import ServedModel, Shape

LLAMA_8B = {"parametersBillion": 8.03, "layers": 32, "kvHeads": 8, "headSize": 128}
LLAMA_70B = {"parametersBillion": 70.6, "layers": 80, "kvHeads": 8, "headSize": 128}
LLAMA_405B = {"parametersBillion": 405.9, "layers": 126, "kvHeads": 8, "headSize": 128}


def fitted(machine: str, shape: dict[str, Any], **changes: Any) -> Fit:
    values = ServedModel.model_validate({"name": "m", "mode": "engine", "shape": shape, **changes})
    assert values.shape
    return fit(values, values.shape, (AWS | DGX)[machine])


@pytest.mark.parametrize(
    ("precision", "gib"),
    [("bf16", 15.0), ("fp16", 15.0), ("fp8", 7.5), ("int4-awq", 4.2), ("nvfp4", 4.2)],
)
def test_weights_are_parameters_times_bytes(precision: str, gib: float) -> None:
    assert weights_gib(Shape.model_validate(LLAMA_8B), precision) == pytest.approx(gib, abs=0.05)


def test_a_token_of_llama_3_8b_takes_128_kib_of_kv_cache() -> None:
    one = fitted("g6.xlarge", LLAMA_8B, maxBatchSize=1, maxInputTokens=1023, maxOutputTokens=1)
    assert one.kv_cache_gib * 1024 * 1024 / 1024 == pytest.approx(128)


@pytest.mark.parametrize(
    ("machine", "shape", "changes", "fits"),
    [
        ("g6.xlarge", LLAMA_8B, {"maxBatchSize": 16}, True),
        ("g6.xlarge", LLAMA_8B, {"maxBatchSize": 256}, False),
        ("g6.xlarge", LLAMA_70B, {}, False),
        ("p5.48xlarge", LLAMA_70B, {"parallelism": {"tensor": 4}}, True),
        ("p5.48xlarge", LLAMA_70B, {"parallelism": {"tensor": 1}}, False),
        ("p5.48xlarge", LLAMA_405B, {"parallelism": {"tensor": 8}}, False),
        ("p5.48xlarge", LLAMA_405B, {"parallelism": {"tensor": 8}, "precision": "fp8"}, True),
        ("p5.48xlarge", LLAMA_405B, {"parallelism": {"tensor": 8, "pipeline": 2}}, True),
        ("dgx-b200", LLAMA_405B, {"parallelism": {"tensor": 4}, "precision": "nvfp4"}, True),
    ],
)
def test_models_fit_the_gpus_that_people_serve_them_on(
    machine: str, shape: dict[str, Any], changes: dict[str, Any], fits: bool
) -> None:
    assert fitted(machine, shape, **changes).fits is fits


def test_gpus_beyond_the_kv_heads_hold_copies_of_the_cache() -> None:
    eight = fitted("p5.48xlarge", LLAMA_70B, parallelism={"tensor": 8})
    sixteen = fitted("p5.48xlarge", LLAMA_70B, parallelism={"tensor": 16})
    assert sixteen.needed_gib - sixteen.weights_gib / 16 == pytest.approx(eight.needed_gib - eight.weights_gib / 8)


def test_more_gpus_than_a_machine_has_are_more_machines() -> None:
    two = fitted("p5.48xlarge", LLAMA_405B, parallelism={"tensor": 8, "pipeline": 2})
    assert (two.gpus, two.nodes, two.gpus_per_node) == (16, 2, 8)


@pytest.mark.parametrize(
    ("gpus", "nodes"),
    [([8], 1), ([4, 4], 1), ([4, 4, 1], 2), ([1] * 8, 1), ([5, 5], 2), ([5, 3, 5, 3], 2), ([16], 2), ([16, 1], 3)],
)
def test_replicas_are_packed_onto_as_few_nodes_as_hold_them(gpus: list[int], nodes: int) -> None:
    replicas = [fitted("p5.48xlarge", LLAMA_70B, parallelism={"tensor": n}) for n in gpus]
    assert nodes_needed(AWS["p5.48xlarge"], replicas) == nodes
