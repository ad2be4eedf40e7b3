"""The engine that the settings' mode names."""

from __future__ import annotations

from frontend.backend import Backend
from frontend.http_client import HttpClient
from frontend.llmapi import LlmApiEngine
from frontend.settings import Settings
from frontend.tokenizer import Tokenizer
from frontend.triton import TritonEngine


def connect(settings: Settings, tokenizer: Tokenizer) -> Backend:
    """The engine behind Triton's HTTP endpoint; nothing is sent yet."""
    client = HttpClient(
        settings.triton_host,
        settings.triton_port,
        connect_timeout=settings.connect_timeout,
        silence_timeout=settings.token_timeout,
    )
    if settings.mode == "llmapi":
        return LlmApiEngine(client, settings.triton_model)
    return TritonEngine(client, settings.triton_model, tokenizer.end_ids[0] if tokenizer.end_ids else None)
