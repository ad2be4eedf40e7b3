"""Small random checkpoints in the forms in which people keep theirs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from engine import checkpoint, tokens
from engine.llama import LlamaShape

TEXT = "the quick brown fox jumps over the lazy dog\n\n" * 20
SHAPE = LlamaShape(
    vocab_size=300,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=False,
    bos_token_id=0,
    eos_token_ids=(1,),
)


def weights(shape: LlamaShape, kind: Any = np.float16, seed: int = 0) -> dict[str, Any]:
    """Random weights, large enough that the most likely token is clearly ahead."""
    draw = np.random.default_rng(seed)
    return {
        name: (np.ones(size) if len(size) == 1 else draw.normal(0, 0.3, size)).astype(kind)
        for name, size in shape.tensor_shapes().items()
    }


def write(directory: Path, shape: LlamaShape = SHAPE) -> Path:
    """A checkpoint as `train` writes it."""
    tokenizer = tokens.learn(TEXT, shape.vocab_size)
    checkpoint.write(directory, shape, weights(shape), tokenizer, {})
    return directory


def write_foreign(directory: Path) -> Path:
    """A checkpoint as others publish theirs: two bfloat16 shards, tied embeddings, one key-value head."""
    shape = replace(SHAPE, num_key_value_heads=1, tie_word_embeddings=True)
    write(directory, shape)
    (directory / "model.safetensors").unlink()
    homes: dict[str, str] = {}
    everything = sorted(weights(shape, ml_dtypes.bfloat16, seed=1).items())
    for shard, part in enumerate((dict(everything[::2]), dict(everything[1::2])), start=1):
        file = f"model-0000{shard}-of-00002.safetensors"
        save_file(part, directory / file, {"format": "pt"})
        homes |= dict.fromkeys(part, file)
    (directory / checkpoint.INDEX).write_text(json.dumps({"metadata": {}, "weight_map": homes}))
    return directory


def edit(directory: Path, **changes: Any) -> Path:
    """Change values of a checkpoint's config.json; None removes one."""
    path = directory / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return directory
