"""Which checkpoints can be served, and what is said about the others."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engine import checkpoint, gguf_build
from engine.errors import InputError
from engine.gguf_build import interleaved
from engine.log import Log
from tests.unit import checkpoints


def test_a_written_checkpoint_is_read_back_whole(tmp_path: Path) -> None:
    found = checkpoint.read(checkpoints.write(tmp_path / "c"))
    assert found.shape == checkpoints.SHAPE
    assert dict(found.tensors()).keys() == checkpoints.SHAPE.tensor_shapes().keys()


def test_sharded_bfloat16_weights_with_tied_embeddings_are_read(tmp_path: Path) -> None:
    found = checkpoint.read(checkpoints.write_foreign(tmp_path / "c"))
    assert found.shape.tie_word_embeddings
    assert len(set(found.files.values())) == 2
    assert {values.dtype.name for _, values in found.tensors()} == {"bfloat16"}


def test_the_newer_form_of_rope_settings_is_read(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path / "c")
    newer = {"rope_type": "default", "rope_theta": 500000.0}
    checkpoints.edit(path, rope_parameters=newer, rope_theta=None)
    assert checkpoint.read(path).shape.rope_theta == 500000.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architectures": ["MistralForCausalLM"]}, "describes MistralForCausalLM; only LlamaForCausalLM"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "scales its rotary embeddings ('llama3')"),
        ({"attention_bias": True}, "sets attention_bias"),
        ({"hidden_act": "gelu"}, "sets hidden_act 'gelu'"),
        ({"hidden_size": None}, "needs hidden_size as a whole number"),
        ({"num_key_value_heads": 3}, "must divide evenly"),
        ({"hidden_size": 128}, "but config.json asks for"),
        ({"num_hidden_layers": 3}, "lacks 9 of the model's tensors"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = checkpoints.edit(checkpoints.write(tmp_path / "c"), **changes)
    with pytest.raises(InputError) as refused:
        checkpoint.read(path)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("config.json", "is no Hugging Face checkpoint: it has no config.json"),
        ("tokenizer.json", "has no tokenizer.json"),
        ("model.safetensors", "has no model.safetensors"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, file: str, sentence: str) -> None:
    path = checkpoints.write(tmp_path / "c")
    (path / file).unlink()
    with pytest.raises(InputError, match=sentence):
        checkpoint.read(path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = checkpoints.write_foreign(tmp_path / "c")
    (path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks model-00002-of-00002\.safetensors"):
        checkpoint.read(path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path / "c")
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="is not a whole safetensors file"):
        checkpoint.read(path)


def test_the_engine_names_every_tensor_and_holds_float16_matrices(tmp_path: Path) -> None:
    found = checkpoint.read(checkpoints.write(tmp_path / "c"))
    built = gguf_build.build(found, tmp_path / "engine", "tiny", Log(step="build"))
    tensors = {one.name: one for one in gguf.GGUFReader(built).tensors}
    assert len(tensors) == len(found.shape.tensor_shapes())
    assert {"token_embd.weight", "output.weight", "blk.1.attn_q.weight"} <= tensors.keys()
    assert tensors["blk.0.attn_q.weight"].tensor_type == gguf.GGMLQuantizationType.F16
    assert tensors["blk.0.attn_norm.weight"].tensor_type == gguf.GGMLQuantizationType.F32


def test_the_same_checkpoint_builds_the_same_bytes(tmp_path: Path) -> None:
    found = checkpoint.read(checkpoints.write(tmp_path / "c"))
    builds = [gguf_build.build(found, tmp_path / name, "tiny", Log(step="build")) for name in "ab"]
    assert builds[0].read_bytes() == builds[1].read_bytes()


def test_rotary_pairs_of_queries_move_side_by_side() -> None:
    rows = np.arange(64.0)[:, None] * np.ones((1, 64))
    moved = interleaved("model.layers.0.self_attn.q_proj.weight", rows, checkpoints.SHAPE)
    assert moved[:4, 0].tolist() == [0, 8, 1, 9]
    untouched = interleaved("model.layers.0.self_attn.v_proj.weight", rows, checkpoints.SHAPE)
    assert untouched is rows


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    import ml_dtypes
    from safetensors.numpy import save_file

    path = checkpoints.write(tmp_path / "c")
    huge = checkpoints.weights(checkpoints.SHAPE, ml_dtypes.bfloat16)
    huge["lm_head.weight"][0, 0] = 1e30
    save_file(huge, path / "model.safetensors")
    with pytest.raises(InputError, match=r"lm_head.weight with values that float16 cannot"):
        gguf_build.build(checkpoint.read(path), tmp_path / "engine", "tiny", Log(step="build"))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path / "c")
    tokenizer = path / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"id": 1,', '"id": 999,', 1))
    with pytest.raises(InputError, match=r"token id 999, but config\.json's vocab_size is 300"):
        gguf_build.build(checkpoint.read(path), tmp_path / "engine", "tiny", Log(step="build"))
