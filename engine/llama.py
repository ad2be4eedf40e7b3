"""The shape of a Llama model, as Hugging Face's config.json states it. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError

ARCHITECTURE = "LlamaForCausalLM"


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    """Sizes and constants of one Llama model; names as in `config.json` (transformers 4.57 LlamaConfig)."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool
    bos_token_id: int
    eos_token_ids: tuple[int, ...]

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight of the model by its Hugging Face name."""
        wide, ffn, head = self.hidden_size, self.intermediate_size, self.head_dim
        queries, keys = self.num_attention_heads * head, self.num_key_value_heads * head
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocab_size, wide),
            "model.norm.weight": (wide,),
        }
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, wide)
        for layer in range(self.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            shapes |= {
                prefix + "input_layernorm.weight": (wide,),
                prefix + "self_attn.q_proj.weight": (queries, wide),
                prefix + "self_attn.k_proj.weight": (keys, wide),
                prefix + "self_attn.v_proj.weight": (keys, wide),
                prefix + "self_attn.o_proj.weight": (wide, queries),
                prefix + "post_attention_layernorm.weight": (wide,),
                prefix + "mlp.gate_proj.weight": (ffn, wide),
                prefix + "mlp.up_proj.weight": (ffn, wide),
                prefix + "mlp.down_proj.weight": (wide, ffn),
            }
        return shapes

    def to_json(self) -> dict[str, Any]:
        """The `config.json` of a checkpoint with float16 weights."""
        return {
            "architectures": [ARCHITECTURE],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_ids[0] if len(self.eos_token_ids) == 1 else list(self.eos_token_ids),
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pretraining_tp": 1,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_scaling": None,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": "float16",
            "use_cache": True,
            "vocab_size": self.vocab_size,
        }


def shape_from_json(config: Mapping[str, Any], source: str) -> LlamaShape:
    """Read a `config.json`; `source` names it in errors.

    Raises InputError for another architecture and for what the CPU engine cannot compute: scaled rotary
    embeddings, biases, another activation.
    """
    architectures = config.get("architectures") or ["none named"]
    if ARCHITECTURE not in architectures:
        raise InputError(f"{source} describes {', '.join(map(str, architectures))}; only {ARCHITECTURE} can be served.")
    rope = _rope(config, source)
    for name in ("attention_bias", "mlp_bias"):
        if config.get(name):
            raise InputError(
                f"{source} sets {name}, which the CPU engine does not support; use a model without biases."
            )
    if (activation := config.get("hidden_act", "silu")) != "silu":
        raise InputError(f"{source} sets hidden_act {activation!r}; the CPU engine computes 'silu' only.")
    heads = _whole(config, "num_attention_heads", source)
    hidden = _whole(config, "hidden_size", source)
    eos = config.get("eos_token_id", 2)
    shape = LlamaShape(
        vocab_size=_whole(config, "vocab_size", source),
        hidden_size=hidden,
        intermediate_size=_whole(config, "intermediate_size", source),
        num_hidden_layers=_whole(config, "num_hidden_layers", source),
        num_attention_heads=heads,
        num_key_value_heads=_whole(config, "num_key_value_heads", source, heads),
        head_dim=_whole(config, "head_dim", source, hidden // heads),
        max_position_embeddings=_whole(config, "max_position_embeddings", source, 2048),
        rms_norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        rope_theta=rope,
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
        bos_token_id=int(config.get("bos_token_id") or 0),
        eos_token_ids=tuple(int(one) for one in (eos if isinstance(eos, list) else [eos])),
    )
    if shape.head_dim % 2 or heads % shape.num_key_value_heads:
        raise InputError(
            f"{source} has {heads} heads, {shape.num_key_value_heads} key-value heads of {shape.head_dim}; "
            "the heads must divide evenly and their size must be even."
        )
    return shape


def _rope(config: Mapping[str, Any], source: str) -> float:
    # transformers 5 moved rope_theta and rope_scaling into rope_parameters.
    rope: Mapping[str, Any] = config.get("rope_parameters") or {}
    scaling: Mapping[str, Any] = config.get("rope_scaling") or rope
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind != "default":
        raise InputError(
            f"{source} scales its rotary embeddings ({kind!r}), which the CPU engine does not support; "
            "use a model without rope_scaling."
        )
    return float(rope.get("rope_theta", config.get("rope_theta", 10000.0)))


def _whole(config: Mapping[str, Any], name: str, source: str, default: int | None = None) -> int:
    value = config.get(name)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{source} needs {name} as a whole number of at least 1, not {value!r}.")
    return value
