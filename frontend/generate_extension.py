"""One model of Triton's through its HTTP generate extension: requests, events, refusals, readiness.

Source: Triton's docs/protocol/extension_generate.md. What the tensors mean is the caller's matter.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import orjson

from frontend.errors import ApiError, bad_request, internal, timed_out, unavailable, unsupported
from frontend.http_client import Exchange, HttpClient, SilenceError, TransportError

_T = TypeVar("_T")
# Triton reads JSON integers as signed: seeds keep to what is safe both ways.
_SEED_BITS = 63
# So the LLM API's model begins the words of whatever exception it met; Triton makes a 400 of them all the same.
_ENGINE_FAILED = "Error generating request"
Fold = Callable[[list[bytes]], _T | None]
"""What events (or the one body) that came together say; None for nothing. Raises what `refusal` makes of an error."""


def usable_seed(asked: int | None) -> int:
    """A seed for every request: the engine's own default is a constant, the same "random" text for every client."""
    return secrets.randbits(_SEED_BITS) if asked is None else asked % (1 << _SEED_BITS)


def refusal(status: int, body: bytes) -> ApiError:
    """Triton's error reply as ours. Triton maps UNAVAILABLE to 503, INVALID_ARG to 400, INTERNAL to 500."""
    try:
        # generate_stream sends an event even where it answers with an error status.
        said = str(orjson.loads(body.strip().removeprefix(b"data:"))["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = body[:300].decode("utf-8", "replace")
    detail = f"Triton answered {status}: {said[:300]}"
    lowered = said.lower()
    if status in (429, 503) or "queue" in lowered or "unavailable" in lowered or "not ready" in lowered:
        return unavailable("The model is overloaded, please retry shortly.", detail)
    if status == 400 and not said.startswith(_ENGINE_FAILED):
        return bad_request(f"The model refused the request: {said[:300]}", code="engine_refused")
    if status == 404:
        return unavailable("The model is not ready, please retry shortly.", detail, "model_not_ready")
    return internal(detail)


def _lost(error: TransportError) -> ApiError:
    if isinstance(error, SilenceError):
        return timed_out(f"Triton: {error}")
    return unavailable("The model is not reachable, please retry shortly.", f"Triton: {error}", "model_not_ready")


async def _events(exchange: Exchange, fold: Fold[_T]) -> AsyncGenerator[_T, None]:
    """A stream of server-sent events; those that came together stay together."""
    rest = b""
    while data := await exchange.read():
        *events, rest = (rest + data).split(b"\n\n") if rest else data.split(b"\n\n")
        if events and (arrival := fold(events)):
            yield arrival
    if rest.strip():
        raise internal("Triton ended its stream in the middle of an event")


async def _whole(exchange: Exchange, fold: Fold[_T]) -> AsyncGenerator[_T, None]:
    """A reply in one piece."""
    if arrival := fold([await exchange.read_all()]):
        yield arrival


class GenerateModel:
    """A model named in Triton.

    ``required`` are the input tensors it must have; ``parameters`` says which request parameter an optional tensor
    stands for, to name it in a refusal. ``decoupled`` demands that it may answer a request more than once.
    """

    def __init__(
        self,
        client: HttpClient,
        name: str,
        required: frozenset[str],
        parameters: Mapping[str, str],
        *,
        decoupled: bool = False,
    ) -> None:
        self._client = client
        self._name = name
        self._path = f"/v2/models/{name}"
        self._required = required
        self._parameters = parameters
        self._decoupled = decoupled
        self._inputs: frozenset[str] | None = None

    @asynccontextmanager
    async def ask(
        self, tensors: dict[str, object], fold: Fold[_T], *, stream: bool
    ) -> AsyncGenerator[AsyncGenerator[_T, None], None]:
        """The reply's arrivals; leaving the context before its end closes the connection, which cancels it."""
        if self._inputs is None:
            await self._learn()
        self._check(tensors)
        path = f"{self._path}/generate_stream" if stream else f"{self._path}/generate"
        try:
            async with self._client.post(path, orjson.dumps(tensors)) as exchange:
                if exchange.status != 200:
                    raise refusal(exchange.status, await exchange.read_all())
                yield _events(exchange, fold) if stream else _whole(exchange, fold)
        except TransportError as error:
            raise _lost(error) from None

    async def ready(self) -> str | None:
        """See `frontend.backend.Backend.ready`."""
        try:
            for path in ("/v2/health/ready", f"{self._path}/ready"):
                async with self._client.get(path) as exchange:
                    await exchange.read_all()
                    if exchange.status != 200:
                        return f"Triton answers {exchange.status} to {path}"
            if self._inputs is None:
                await self._learn()
        except TransportError as error:
            return f"Triton: {error}"
        except ApiError as error:
            return error.detail or error.message
        return None

    async def close(self) -> None:
        """See `frontend.backend.Backend.close`."""
        self._client.close()

    async def _learn(self) -> None:
        """Ask which tensors the model has: Triton silently ignores any other name in a generate request."""
        described = await self._read(self._path)
        try:
            inputs = frozenset(str(item["name"]) for item in described["inputs"])
        except (KeyError, TypeError):
            raise internal(f"Triton describes {self._name} in an unknown form") from None
        if missing := self._required - inputs:
            raise internal(f"Triton's model {self._name} has no tensor {', '.join(sorted(missing))}")
        if self._decoupled:
            policy = (await self._read(f"{self._path}/config")).get("model_transaction_policy") or {}
            if not policy.get("decoupled"):
                raise internal(
                    f"Triton's model {self._name} is not decoupled, so it cannot stream; "
                    "say triton_config.decoupled: true in its model.yaml"
                )
        self._inputs = inputs

    async def _read(self, path: str) -> dict[str, Any]:
        try:
            async with self._client.get(path) as exchange:
                body = await exchange.read_all()
                if exchange.status != 200:
                    raise unavailable(
                        "The model is not ready, please retry shortly.",
                        f"Triton answers {exchange.status} to {path}",
                        "model_not_ready",
                    )
        except TransportError as error:
            raise _lost(error) from None
        try:
            described = orjson.loads(body)
        except orjson.JSONDecodeError:
            described = None
        if not isinstance(described, dict):
            raise internal(f"Triton describes {self._name} in an unknown form")
        return cast("dict[str, Any]", described)

    def _check(self, tensors: dict[str, object]) -> None:
        assert self._inputs is not None
        if tensors.keys() <= self._inputs:
            return
        name = min(tensors.keys() - self._inputs)
        param = self._parameters.get(name, name)
        raise unsupported(param, f"The engine of this model does not support '{param}'.")
