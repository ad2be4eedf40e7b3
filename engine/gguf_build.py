"""`build` for mode cpu: a Llama checkpoint becomes one F16 GGUF file, which OpenVINO GenAI loads directly."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.checkpoint import Checkpoint
from engine.errors import InputError
from engine.llama import LlamaShape
from engine.log import Log

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ENGINE_FILE = "model.gguf"


def build(checkpoint: Checkpoint, out: Path, name: str, log: Log) -> Path:
    """Write `out`/model.gguf and return it. Raises InputError for a tokenizer that GGUF cannot carry."""
    import gguf
    import numpy as np

    shape = checkpoint.shape
    out.mkdir(parents=True, exist_ok=True)
    target = out / ENGINE_FILE
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name(name)
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_tokenizer(writer, checkpoint)

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, shape.num_hidden_layers)
    for tensor, values in checkpoint.tensors():
        # OpenVINO's reader takes F16 matrices and F32 vectors; it refuses an all-F32 file.
        kind = np.float32 if values.ndim == 1 else np.float16
        with np.errstate(over="ignore"):  # told below, with the tensor's name
            laid_out = np.ascontiguousarray(interleaved(tensor, values, shape).astype(kind))
        if not np.isfinite(laid_out).all():
            raise InputError(f"{checkpoint.path} holds {tensor} with values that float16 cannot represent.")
        known = names.get_name(tensor, try_suffixes=(".weight",))
        assert known, f"every tensor of {checkpoint.shape} has a name in GGUF, but not {tensor}"
        writer.add_tensor(known, laid_out)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    log.say("engine built", bytes=target.stat().st_size, layers=shape.num_hidden_layers)
    return target


def interleaved(
    name: str, values: "npt.NDArray[np.floating[Any]]", shape: LlamaShape
) -> "npt.NDArray[np.floating[Any]]":
    """Queries and keys in GGUF's rotary layout: each pair side by side, not in the two halves of a head."""
    heads = {"q_proj": shape.num_attention_heads, "k_proj": shape.num_key_value_heads}
    for projection, count in heads.items():
        if f".{projection}." in name:
            parts = values.reshape(count, 2, shape.head_dim // 2, -1)
            return parts.swapaxes(1, 2).reshape(values.shape)
    return values


def _add_tokenizer(writer: Any, checkpoint: Checkpoint) -> None:
    # Serving tokenises with tokenizer.json itself; OpenVINO only insists that the file carries a vocabulary.
    import gguf

    content = json.loads(checkpoint.tokenizer.read_text(encoding="utf-8"))
    model: dict[str, Any] = content.get("model") or {}
    if model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise InputError(f"{checkpoint.tokenizer} has the type {model.get('type')}; this engine takes BPE tokenizers.")
    pieces = {index: piece for piece, index in model["vocab"].items()}
    special: set[int] = set()
    for added in content.get("added_tokens", []):
        pieces[added["id"]] = added["content"]
        if added.get("special"):
            special.add(added["id"])
    size = checkpoint.shape.vocab_size
    if pieces and max(pieces) >= size:
        raise InputError(
            f"{checkpoint.tokenizer} has token id {max(pieces)}, but config.json's vocab_size is {size}; "
            "they do not belong together."
        )
    types = [gguf.TokenType.CONTROL if at in special else gguf.TokenType.NORMAL for at in range(size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    # Embedding tables are often padded beyond the vocabulary; GGUF wants a name for each row.
    writer.add_token_list([pieces.get(at, f"<|unused_{at}|>") for at in range(size)])
    writer.add_token_types(types)
    merges = model.get("merges", [])
    writer.add_token_merges([" ".join(one) if isinstance(one, list) else one for one in merges])
    writer.add_bos_token_id(checkpoint.shape.bos_token_id)
    writer.add_eos_token_id(checkpoint.shape.eos_token_ids[0])
    writer.add_add_bos_token(False)
