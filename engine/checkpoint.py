"""Hugging Face checkpoint directories of Llama models: reading any, writing ours."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import tokens
from engine.errors import InputError
from engine.llama import LlamaShape, shape_from_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tokenizers import Tokenizer

    Tensor = npt.NDArray[np.floating[Any]]

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
NUMBERS = {"F16", "BF16", "F32"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint directory in which every tensor the model needs was found, in the right shape."""

    path: Path
    shape: LlamaShape
    config: Mapping[str, Any]
    files: Mapping[str, Path]

    @property
    def tokenizer(self) -> Path:
        """The tokenizer in the format of the `tokenizers` library."""
        return self.path / "tokenizer.json"

    def tensors(self) -> "Iterator[tuple[str, Tensor]]":
        """Name and values of each tensor, one at a time: a large model never stands in memory whole."""
        from safetensors import safe_open

        for file in sorted(set(self.files.values())):
            with safe_open(file, "numpy") as opened:
                for name in sorted(name for name, home in self.files.items() if home == file):
                    yield name, opened.get_tensor(name)


def read(path: Path) -> Checkpoint:
    """Open a checkpoint directory. Raises InputError with what is missing or cannot be served."""
    config = _json(path / "config.json")
    shape = shape_from_json(config, str(path / "config.json"))
    if not (path / "tokenizer.json").is_file():
        raise InputError(
            f"{path} has no tokenizer.json; save one with AutoTokenizer.from_pretrained(...).save_pretrained(...)."
        )
    homes = _homes(path)
    files: dict[str, Path] = {}
    for file in sorted(set(homes.values())):
        for name, (kind, size) in _header(file).items():
            if homes.get(name) != file or name not in shape.tensor_shapes():
                continue  # e.g. rotary_emb.inv_freq of old checkpoints, or lm_head of tied embeddings
            if kind not in NUMBERS:
                raise InputError(
                    f"{file} holds {name} as {kind}; this engine reads F16, BF16 and F32 weights, not quantised ones."
                )
            if size != shape.tensor_shapes()[name]:
                raise InputError(
                    f"{file} holds {name} as {list(size)}, but config.json asks for "
                    f"{list(shape.tensor_shapes()[name])}."
                )
            files[name] = file
    if absent := sorted(shape.tensor_shapes().keys() - files.keys()):
        raise InputError(f"{path} lacks {len(absent)} of the model's tensors, the first being {absent[0]}.")
    return Checkpoint(path=path, shape=shape, config=config, files=files)


def write(
    out: Path,
    shape: LlamaShape,
    weights: "Mapping[str, Tensor]",
    tokenizer: "Tokenizer",
    training: Mapping[str, Any],
) -> None:
    """Write a checkpoint that transformers and TensorRT-LLM's converters read; whole or not at all."""
    from safetensors.numpy import save_file

    begin, end = tokens.BEGIN, tokens.END
    staging = out.with_name(f".{out.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_file(dict(weights), staging / SINGLE, {"format": "pt"})  # transformers insists on the "pt"
    tokenizer.save(str(staging / "tokenizer.json"))
    for name, content in {
        "config.json": shape.to_json(),
        "generation_config.json": {
            "bos_token_id": shape.bos_token_id,
            "eos_token_id": shape.eos_token_ids[0],
            "do_sample": True,
            "temperature": 0.8,
            "top_p": 0.95,
        },
        "special_tokens_map.json": {"bos_token": begin, "eos_token": end, "pad_token": end},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": begin,
            "eos_token": end,
            "pad_token": end,
            "add_bos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": shape.max_position_embeddings,
            "chat_template": tokens.CHAT_TEMPLATE,
        },
        "training.json": training,
    }.items():
        (staging / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)


def _homes(path: Path) -> dict[str, Path]:
    """The file of each tensor."""
    if (path / INDEX).is_file():
        index = _json(path / INDEX)
        homes = {name: path / file for name, file in index.get("weight_map", {}).items()}
    else:
        homes = dict.fromkeys(_header(path / SINGLE), path / SINGLE)
    for file in sorted(set(homes.values())):
        if not file.is_file():
            raise InputError(f"{path} lacks {file.name}, which {INDEX} names; copy the whole checkpoint.")
    return homes


def _header(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Number type and shape of each tensor in a safetensors file, without reading the weights."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise InputError(
            f"{file.parent} has no {file.name}; convert the weights with save_pretrained(safe_serialization=True)."
        )
    try:
        with safe_open(file, "numpy") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  # not a mapping
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise InputError(f"{file} is not a whole safetensors file ({error}); fetch it again.") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{file.parent} is no Hugging Face checkpoint: it has no {file.name}.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object.")
    return content
