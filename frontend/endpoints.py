"""The two generating endpoints: from a checked body to a whole or streamed reply."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from time import perf_counter

from aiohttp import web

from frontend.backend import Backend, Prompt
from frontend.body import GenerationRequest, allowed_max_tokens, read_request
from frontend.chat_template import ChatTemplate
from frontend.errors import ApiError, bad_request, context_length_exceeded
from frontend.exchange import Incoming
from frontend.fields import parse_object
from frontend.generation import Generation
from frontend.metrics import Metrics
from frontend.replies import Reply, Usage
from frontend.settings import Settings
from frontend.tokenizer import Tokenizer

_THREAD_CHARACTERS = 16_384
"""Longer prompts are tokenised in a thread: about 10 ms of CPU, in which everybody's tokens would wait."""


class Generator:
    """Answers ``/v1/completions`` and ``/v1/chat/completions``."""

    def __init__(self, settings: Settings, tokenizer: Tokenizer, backend: Backend, metrics: Metrics) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._backend = backend
        self._metrics = metrics
        template = tokenizer.chat_template
        self._template = ChatTemplate(template, tokenizer.special) if template else None
        self._fingerprint = f"fp_{settings.model}-{settings.version}"

    async def answer(self, incoming: Incoming, *, chat: bool) -> web.StreamResponse:
        """Generate for one request; raises `ApiError` as long as no byte has been sent."""
        body = parse_object(await incoming.json_body(self._settings.max_body_bytes))
        request = read_request(body, chat=chat, model=self._settings.model)
        limit = self._settings.max_output_tokens
        max_tokens = allowed_max_tokens(request.max_tokens, incoming.header("x-llmops-max-tokens"), limit)
        prompt = await self._prompt(request)
        whole = max_tokens <= self._settings.whole_reply_tokens
        generation = Generation(self._backend, self._tokenizer, request, prompt, max_tokens, whole=whole)
        reply = Reply(
            chat=chat,
            model=self._settings.model,
            fingerprint=self._fingerprint,
            stream=request.stream,
            include_usage=request.include_usage,
        )
        incoming.log |= {"stream": request.stream, "max_tokens": max_tokens}
        try:
            if request.stream:
                return await self._stream(incoming, generation, reply, include_usage=request.include_usage)
            text = await generation.text()
            usage = Usage(generation.prompt_tokens, generation.completion_tokens)
            return incoming.json(200, reply.whole(text, generation.finish_reason or "length", usage))
        finally:
            self._metrics.generation(incoming.tenant, incoming.started, generation)
            incoming.log |= {
                "prompt_tokens": generation.prompt_tokens,
                "completion_tokens": generation.completion_tokens,
                "finish_reason": generation.finish_reason,
            }
            if generation.first_token_at is not None:
                incoming.log["ttft_ms"] = round((generation.first_token_at - incoming.started) * 1000, 2)

    async def _prompt(self, request: GenerationRequest) -> Prompt:
        prompt, param, special = request.prompt, "messages" if request.chat else "prompt", True
        if request.chat:
            if self._template is None:
                raise bad_request("This model has no chat template; use /v1/completions.", None, "no_chat_template")
            assert isinstance(prompt, list)
            messages = [message for message in prompt if isinstance(message, dict)]
            # A chat template writes the special tokens itself.
            prompt, special = self._template.render(messages), False
            if self._backend.takes_text:
                # Such an engine adds the special tokens around any text: the ids counted here are those it will see.
                prompt, special = self._tokenizer.bare(prompt), True
        if isinstance(prompt, str):
            if len(prompt) > _THREAD_CHARACTERS:
                ids = await asyncio.to_thread(self._tokenizer.encode, prompt, special=special)
            else:
                ids = self._tokenizer.encode(prompt, special=special)
        else:
            ids = [token for token in prompt if isinstance(token, int)]
            if min(ids) < 0 or max(ids) >= self._tokenizer.vocabulary_size:
                message = f"Token ids must be from 0 to {self._tokenizer.vocabulary_size - 1}."
                raise bad_request(message, param, "invalid_value")
        if len(ids) > self._settings.max_input_tokens:
            raise context_length_exceeded(len(ids), self._settings.max_input_tokens, param)
        if not ids:
            raise bad_request(f"'{param}' has no tokens.", param, "invalid_value")
        return Prompt(ids, prompt if isinstance(prompt, str) else None)

    async def _stream(
        self, incoming: Incoming, generation: Generation, reply: Reply, *, include_usage: bool
    ) -> web.StreamResponse:
        # The head goes out with the first token: until then an error still has its own status.
        response: web.StreamResponse | None = None
        try:
            async with aclosing(generation.pieces()) as pieces:
                async for piece in pieces:
                    event = reply.piece(piece)
                    if response is None:
                        response = await incoming.start_events()
                        event = reply.opening() + event
                    await self._send(incoming, response, event)
        except ApiError as error:
            if response is None:
                raise
            # Too late for a status: OpenAI's SDKs raise on an event that holds an error, and miss the end mark.
            incoming.log |= {"error": error.code, "detail": error.detail}
            incoming.status = error.status
            await self._send(incoming, response, b"data: " + error.body() + b"\n\n")
            response.force_close()
            return response
        usage = Usage(generation.prompt_tokens, generation.completion_tokens) if include_usage else None
        last = reply.closing(generation.finish_reason or "length", usage)
        if response is None:
            response = await incoming.start_events()
            last = reply.opening() + last
        await response.write_eof(last)
        return response

    async def _send(self, incoming: Incoming, response: web.StreamResponse, event: bytes) -> None:
        transport = incoming.request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        if transport.get_write_buffer_size() == 0:
            await response.write(event)
            return
        try:
            async with asyncio.timeout(self._settings.write_timeout):
                await response.write(event)
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError("the client does not read") from None


def elapsed_ms(started: float) -> float:
    """Milliseconds since a `perf_counter` reading."""
    return round((perf_counter() - started) * 1000, 2)
