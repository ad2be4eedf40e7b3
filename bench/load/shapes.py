"""The two shapes of load: open (arrivals do not wait for answers) and closed (every connection waits for its own)."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from bench.load.connection import Pool, Reply


@dataclass
class Measured:
    """What one block of load found, its warm-up left out."""

    milliseconds: list[float] = field(default_factory=list[float])  # of the answers with status 200
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0
    late: float = 0.0  # ms: 99th percentile of how much later than planned a request left

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def _summary(replies: list[Reply], seconds: float, lateness: list[float]) -> Measured:
    lateness.sort()
    return Measured(
        milliseconds=[reply.seconds * 1e3 for reply in replies if reply.status == 200],
        statuses={str(status): count for status, count in Counter(reply.status for reply in replies).items()},
        seconds=seconds,
        late=lateness[int(0.99 * (len(lateness) - 1))] * 1e3 if lateness else 0.0,
    )


async def open_loop(
    pool: Pool, rate: float, warm_up: float, seconds: float, seed: int, begin: Callable[[], None]
) -> Measured:
    """Poisson arrivals at `rate` a second. The same seed gives every arm the same arrivals."""
    draw = random.Random(seed)
    at, arrivals = 0.0, list[float]()
    while (at := at + draw.expovariate(rate)) < warm_up + seconds:
        arrivals.append(at)
    tasks: list[asyncio.Task[Reply]] = []
    lateness: list[float] = []
    start, measuring, first = perf_counter(), False, 0
    for arrival in arrivals:
        if not measuring and arrival >= warm_up:
            measuring, first = True, len(tasks)
            begin()
        wait = start + arrival - perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        lateness.append(max(0.0, perf_counter() - start - arrival))
        tasks.append(asyncio.create_task(pool.fetch()))
    replies = await asyncio.gather(*tasks)
    return _summary(replies[first:], perf_counter() - start - warm_up, lateness[first:])


async def closed_loop(
    pool: Pool, connections: int, warm_up: float, seconds: float, begin: Callable[[], None]
) -> Measured:
    """`connections` senders, each sending its next request when it has its answer."""
    start = perf_counter()
    replies: list[Reply] = []
    measuring = False

    async def sender() -> None:
        nonlocal measuring
        while (now := perf_counter() - start) < warm_up + seconds:
            if not measuring and now >= warm_up:
                measuring = True
                begin()
            reply = await pool.fetch()
            if reply.status != 200:
                await asyncio.sleep(0.05)  # a refusing target must not become a busy loop
            if measuring:
                replies.append(reply)

    await asyncio.gather(*(sender() for _ in range(connections)))
    return _summary(replies, perf_counter() - start - warm_up, [])
