"""Requests against the platform, as a tenant sends them."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

MODEL = "tiny-llama"


@dataclass(frozen=True)
class Client:
    """One tenant's view of the platform."""

    endpoint: str
    key: str | None

    def headers(self, **more: str) -> dict[str, str]:
        return {**({"authorization": f"Bearer {self.key}"} if self.key else {}), **more}

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.endpoint}{path}", json=body, headers=self.headers(**headers), timeout=60)

    def complete(self, prompt: str = "The class statement", **body: Any) -> httpx.Response:
        return self.post("/v1/completions", {"model": MODEL, "prompt": prompt, **body})

    async def many(self, count: int, connections: int, **body: Any) -> list[httpx.Response]:
        """`count` completions over `connections` connections at a time."""
        gate = asyncio.Semaphore(connections)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx.AsyncClient(limits=limits, timeout=60, headers=self.headers()) as client:

            async def one() -> httpx.Response:
                async with gate:
                    payload = {"model": MODEL, "prompt": "The class statement", **body}
                    return await client.post(f"{self.endpoint}/v1/completions", json=payload)

            return await asyncio.gather(*(one() for _ in range(count)))


def codes(responses: list[httpx.Response]) -> dict[int, int]:
    """How often each status came."""
    return dict(Counter(response.status_code for response in responses))
