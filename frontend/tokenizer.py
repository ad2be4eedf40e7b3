"""The model's tokenizer: text to token ids, token ids back to text as they arrive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer as HfTokenizer
from tokenizers.decoders import DecodeStream

REPLACEMENT = "\ufffd"
"""What a decoder writes for bytes that are not (yet) a character."""


class TokenizerError(Exception):
    """A tokenizer directory that cannot be used, in one sentence."""


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise TokenizerError(f"{path} is not valid JSON ({error}); publish the model again.") from None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _token_text(value: object) -> str:
    """A special token's text: Hugging Face writes either a string or an AddedToken object."""
    if isinstance(value, dict):
        value = cast("dict[str, object]", value).get("content")
    return value if isinstance(value, str) else ""


def _chat_template(directory: Path, config: dict[str, Any]) -> str | None:
    """The chat template: in its own file (newer checkpoints), or in tokenizer_config.json, maybe one of several."""
    apart = directory / "chat_template.jinja"
    if apart.is_file():
        return apart.read_text("utf-8")
    value: object = config.get("chat_template")
    if isinstance(value, list):
        named = {str(item.get("name")): item.get("template") for item in cast("list[dict[str, object]]", value)}
        value = named.get("default")
    return value if isinstance(value, str) and value else None


class Tokenizer:
    """A Hugging Face tokenizer directory: tokenizer.json, tokenizer_config.json, generation_config.json."""

    def __init__(self, directory: Path) -> None:
        path = directory / "tokenizer.json"
        try:
            self._hf = HfTokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises plain Exception
            raise TokenizerError(f"{path} cannot be read ({error}); publish the model again.") from None
        self._hf.no_truncation()
        self._hf.no_padding()
        config = _read_json(directory / "tokenizer_config.json")
        self.chat_template = _chat_template(directory, config)
        names = ("bos_token", "eos_token", "pad_token", "unk_token")
        self.special = {name: text for name in names if (text := _token_text(config.get(name)))}
        self.vocabulary_size = self._hf.get_vocab_size(with_added_tokens=True)
        self.end_ids = self._end_ids(_read_json(directory / "generation_config.json"))

    def _end_ids(self, generation: dict[str, Any]) -> tuple[int, ...]:
        """The ids that end a text; Llama 3 has several, all in generation_config.json."""
        value: object = generation.get("eos_token_id")
        listed = cast("list[object]", value) if isinstance(value, list) else [value]
        found = [number for number in listed if isinstance(number, int)]
        own = self._hf.token_to_id(self.special.get("eos_token", ""))
        if own is not None and own not in found:
            found.insert(0, own)
        return tuple(found)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids of a text; ``special`` adds what the model expects around it (BOS)."""
        return self._hf.encode(text, add_special_tokens=special).ids

    def bare(self, text: str) -> str:
        """``text`` without the BOS it begins with, if `encode` adds one anyway."""
        bos = self.special.get("bos_token")
        if bos and text.startswith(bos) and self.encode("")[:1] == [self._hf.token_to_id(bos)]:
            return text[len(bos) :]
        return text

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self._hf.decode(list(ids), skip_special_tokens=True)

    def detokenizer(self) -> Detokenizer:
        """A decoder for one generated text."""
        return Detokenizer(self, self._hf)


class Detokenizer:
    """Turns token ids into text piece by piece, never splitting a character.

    The pieces joined are exactly the text of all ids decoded together.
    """

    def __init__(self, tokenizer: Tokenizer, hf: HfTokenizer) -> None:
        self._tokenizer = tokenizer
        self._hf = hf
        self._stream: DecodeStream | None = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._shown = 0

    def feed(self, ids: list[int]) -> str:
        """Add generated ids; returns the whole characters that are now certain."""
        self._ids += ids
        if self._stream is None:
            return self._rest(hold=True)
        try:
            text = self._stream.step(self._hf, ids) or ""
        except Exception:  # the Rust stream gives up on some byte sequences that decode well as a whole
            self._stream = None
            return self._rest(hold=True)
        self._shown += len(text)
        return text

    def flush(self) -> str:
        """What is left when generation has ended: an unfinished character becomes U+FFFD."""
        return self._rest(hold=False)

    def _rest(self, *, hold: bool) -> str:
        text = self._tokenizer.decode(self._ids)
        if hold:
            text = text.rstrip(REPLACEMENT)
        rest = text[self._shown :]
        self._shown += len(rest)
        return rest
