"""The Triton model repository: what Triton's own protobuf reads back."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from engine.errors import InputError
from engine.repository import MODELS, Repository, as_text
from engine.sizes import Sizes
from tests.unit import checkpoints

REPOSITORY = Repository(root="/model", sizes=Sizes(max_batch_size=4), end_id=1)


def written(directory: Path) -> dict[str, Any]:
    REPOSITORY.write(directory)
    found: dict[str, Any] = {}
    for name in MODELS:
        message: Any = model_config_pb2.ModelConfig()  # pyright: ignore[reportAttributeAccessIssue]  # generated
        found[name] = text_format.Parse((directory / name / "config.pbtxt").read_text(), message)
    return found


def test_triton_reads_back_four_models_and_each_has_its_version(tmp_path: Path) -> None:
    configs = written(tmp_path)
    assert {name: config.name for name, config in configs.items()} == {name: name for name in MODELS}
    assert all((tmp_path / name / "1").is_dir() for name in MODELS)
    assert all((tmp_path / name / "1" / "model.py").is_file() for name in MODELS if name != "ensemble")


def test_dynamic_batching_and_decoupled_streaming_are_on(tmp_path: Path) -> None:
    configs = written(tmp_path)
    for name in ("preprocessing", "tensorrt_llm", "postprocessing"):
        assert list(configs[name].dynamic_batching.preferred_batch_size) == [4]
    assert configs["tensorrt_llm"].model_transaction_policy.decoupled
    assert configs["tensorrt_llm"].input[0].allow_ragged_batch


def test_parameters_carry_nvidias_names_and_the_pods_paths(tmp_path: Path) -> None:
    configs = written(tmp_path)
    engine = {key: value.string_value for key, value in configs["tensorrt_llm"].parameters.items()}
    assert engine["gpt_model_path"] == "/model/engine"
    assert engine["gpt_model_type"] == "inflight_fused_batching"
    assert engine["batch_scheduler_policy"] == "guaranteed_no_evict"
    assert configs["preprocessing"].parameters["tokenizer_dir"].string_value == "/model/tokenizer"


def test_every_tensor_the_ensemble_passes_on_exists_with_one_type(tmp_path: Path) -> None:
    configs = written(tmp_path)
    types = {one.name: one.data_type for one in configs["ensemble"].input}
    for step in configs["ensemble"].ensemble_scheduling.step:
        inputs = {one.name: one.data_type for one in configs[step.model_name].input}
        outputs = {one.name: one.data_type for one in configs[step.model_name].output}
        for theirs, ours in step.input_map.items():
            assert inputs[theirs] == types[ours], (step.model_name, theirs)
        types |= {ours: outputs[theirs] for theirs, ours in step.output_map.items()}
    assert {one.name for one in configs["ensemble"].output} <= types.keys()


def test_a_field_that_triton_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="the configuration of m is not one of Triton's"):
        as_text({"name": "m", "max_batchsize": 4})


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (Sizes(max_seq_len=256), "max_seq_len 256 exceeds the model's 128 positions"),
        (Sizes(max_seq_len=128, kv_cache_tokens=64), "kv_cache_tokens 64 cannot hold one sequence of 128"),
        (Sizes(max_seq_len=128, max_batch_size=0), "max_batch_size must be at least 1, not 0"),
    ],
)
def test_sizes_that_cannot_work_are_refused(sizes: Sizes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sizes.check(checkpoints.SHAPE)
