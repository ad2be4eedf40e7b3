"""What the pod tells the server through its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_MODES = ("engine", "llmapi")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HEADER_SAFE = re.compile(r"[!-~]{1,253}")


class SettingsError(Exception):
    """One sentence that names the variable and the fix."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's whole configuration; sizes in bytes or tokens, times in seconds."""

    model: str
    """The model's public name, as clients say it in ``model``."""
    version: str
    tokenizer_dir: Path
    triton_host: str
    triton_port: int
    triton_model: str
    """The model inside Triton that generates."""
    mode: str
    """``engine``: it takes token ids, by the C++ backend's tensors. ``llmapi``: it takes text, by the LLM API's."""
    host: str
    port: int
    pod: str
    max_input_tokens: int
    max_output_tokens: int
    max_body_bytes: int
    max_inflight: int
    """Requests in progress beyond which new ones get 503 at once instead of queueing without bound."""
    whole_reply_tokens: int
    """Up to this many output tokens, a reply that does not stream is taken from the engine in one piece.

    That halves the cost of short replies, but Triton notices that a client has gone only when it next writes: this is
    how many tokens a client that leaves can waste.
    """
    max_tenants: int
    """Distinct tenant labels in the metrics; later ones share the label ``other``."""
    connect_timeout: float
    token_timeout: float
    """Longest silence of Triton before a request is given up."""
    write_timeout: float
    """Longest a client may leave a full send buffer unread."""
    drain_seconds: float
    """After SIGTERM: how long requests in flight, and new ones, are still answered."""
    drain_quiet_seconds: float
    """After SIGTERM: leave early once nothing was asked for this long."""


def _integer(env: Mapping[str, str], name: str, default: int | None, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        if default is None:
            raise SettingsError(f"{name} is not set; give a whole number from {low} to {high}.")
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} is '{text}'; give a whole number from {low} to {high}.") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} is {value}; give a whole number from {low} to {high}.")
    return value


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise SettingsError(f"{name} is '{text}'; give seconds from 0 to 86400.")
    return value


def _required(env: Mapping[str, str], name: str, example: str) -> str:
    text = env.get(name, "").strip()
    if not text:
        raise SettingsError(f"{name} is not set; give for example {name}={example}.")
    return text


def _triton(env: Mapping[str, str]) -> tuple[str, int]:
    url = env.get("TRITON_URL", "").strip() or "http://127.0.0.1:8000"
    wrong = SettingsError(f"TRITON_URL is '{url}'; give http://HOST:PORT, for example http://127.0.0.1:8000.")
    parts = urlsplit(url)
    try:
        port = parts.port or 8000
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise wrong
    return parts.hostname, port


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read and check the environment; raises `SettingsError`."""
    model = _required(env, "MODEL_NAME", "tiny")
    if not _NAME.fullmatch(model):
        raise SettingsError(f"MODEL_NAME is '{model}'; use letters, digits, '.', '_', '-', '/', at most 128.")
    mode = env.get("ENGINE_MODE", "").strip() or "engine"
    if mode not in _MODES:
        raise SettingsError(f"ENGINE_MODE is '{mode}'; this server speaks: {', '.join(_MODES)}.")
    directory = Path(env.get("TOKENIZER_DIR", "").strip() or "/model/tokenizer")
    if not (directory / "tokenizer.json").is_file():
        raise SettingsError(f"TOKENIZER_DIR is '{directory}', which has no tokenizer.json; name the model's tokenizer.")
    pod = env.get("POD_NAME", "").strip() or "local"
    if not _HEADER_SAFE.fullmatch(pod):
        raise SettingsError("POD_NAME is not printable ASCII without spaces; give the pod's name.")
    host, port = _triton(env)
    return Settings(
        model=model,
        version=env.get("MODEL_VERSION", "").strip() or "0",
        tokenizer_dir=directory,
        triton_host=host,
        triton_port=port,
        triton_model=env.get("TRITON_MODEL", "").strip() or "tensorrt_llm",
        mode=mode,
        host=env.get("HOST", "").strip() or "0.0.0.0",
        port=_integer(env, "PORT", 9000, 0, 65_535),
        pod=pod,
        max_input_tokens=_integer(env, "MAX_INPUT_TOKENS", None, 1, 10_000_000),
        max_output_tokens=_integer(env, "MAX_OUTPUT_TOKENS", None, 1, 1_000_000),
        max_body_bytes=_integer(env, "MAX_BODY_BYTES", 1 << 20, 1024, 1 << 30),
        max_inflight=_integer(env, "MAX_INFLIGHT", 512, 1, 100_000),
        whole_reply_tokens=_integer(env, "WHOLE_REPLY_TOKENS", 64, 0, 1_000_000),
        max_tenants=_integer(env, "MAX_TENANTS", 200, 1, 100_000),
        connect_timeout=_seconds(env, "CONNECT_TIMEOUT_SECONDS", 2.0),
        token_timeout=_seconds(env, "TOKEN_TIMEOUT_SECONDS", 120.0),
        write_timeout=_seconds(env, "WRITE_TIMEOUT_SECONDS", 30.0),
        drain_seconds=_seconds(env, "DRAIN_SECONDS", 30.0),
        drain_quiet_seconds=_seconds(env, "DRAIN_QUIET_SECONDS", 3.0),
    )
