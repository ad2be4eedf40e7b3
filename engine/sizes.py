"""The sizes one engine serves with, stored beside it as TensorRT-LLM stores them. Standard library only."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import InputError
from engine.llama import ARCHITECTURE, LlamaShape

# OpenVINO's block on CPU; TensorRT-LLM's default is the same (trtllm-build --tokens_per_block).
TOKENS_PER_BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Limits of one engine, in tokens unless named otherwise; names as in trtllm-build's BuildConfig."""

    max_batch_size: int = 8  # sequences generated at once
    max_seq_len: int = 1024  # prompt and answer together
    max_num_tokens: int = 512  # computed in one step; longer prompts are taken in chunks
    kv_cache_tokens: int = 4096  # shared by all sequences
    cpu_threads: int = 1

    def check(self, shape: LlamaShape) -> None:
        """Raise InputError where the model or the cache cannot hold these sizes."""
        for name, value in asdict(self).items():
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}.")
        if self.max_seq_len > shape.max_position_embeddings:
            raise InputError(
                f"max_seq_len {self.max_seq_len} exceeds the model's {shape.max_position_embeddings} positions; "
                "lower it."
            )
        if self.kv_cache_tokens < self.max_seq_len:
            raise InputError(
                f"kv_cache_tokens {self.kv_cache_tokens} cannot hold one sequence of {self.max_seq_len} tokens; "
                "raise it or lower max_seq_len."
            )

    def engine_config(self, shape: LlamaShape) -> dict[str, Any]:
        """The `config.json` of an engine directory, laid out as TensorRT-LLM 1.2's builder does."""
        return {
            "version": "cpu-1",
            "pretrained_config": {
                "architecture": ARCHITECTURE,
                "dtype": "float16",
                "vocab_size": shape.vocab_size,
                "hidden_size": shape.hidden_size,
                "num_hidden_layers": shape.num_hidden_layers,
                "num_attention_heads": shape.num_attention_heads,
                "num_key_value_heads": shape.num_key_value_heads,
                "head_size": shape.head_dim,
                "max_position_embeddings": shape.max_position_embeddings,
                "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1},
            },
            "build_config": {
                "max_batch_size": self.max_batch_size,
                "max_input_len": self.max_seq_len - 1,
                "max_seq_len": self.max_seq_len,
                "max_num_tokens": self.max_num_tokens,
                "max_beam_width": 1,
            },
        }
