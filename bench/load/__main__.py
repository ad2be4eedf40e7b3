"""`python -m bench.load`: reads one command a line as JSON, answers with JSON lines.

The first line gives the targets. Each later line is a block of load at one of them; the answer is the line
{"measuring": true} when its warm-up is over, then what was measured.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
from typing import Any

import uvloop

from bench.load.connection import Pool, Target
from bench.load.shapes import Measured, closed_loop, open_loop


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _begin() -> None:
    _say({"measuring": True})


async def _block(pool: Pool, command: dict[str, Any]) -> Measured:
    times = (float(command["warm_up"]), float(command["seconds"]))
    if "rate" in command:
        return await open_loop(pool, float(command["rate"]), *times, int(command["seed"]), _begin)
    return await closed_loop(pool, int(command["connections"]), *times, _begin)


async def _one(pool: Pool) -> dict[str, Any]:
    reply = await pool.fetch()
    return {"status": reply.status, "body": reply.body.decode(errors="replace")}


async def _serve() -> None:
    loop = asyncio.get_running_loop()

    async def line() -> Any:
        text = await loop.run_in_executor(None, sys.stdin.readline)
        return json.loads(text) if text else None

    targets = {
        name: Target(
            addresses=tuple((host, port) for host, port in entry["addresses"]), request=entry["request"].encode()
        )
        for name, entry in (await line()).items()
    }
    pools = {name: Pool(target) for name, target in targets.items()}
    while command := await line():
        pool = pools[command["arm"]]
        if "seconds" not in command:
            _say(await _one(pool))
            continue
        _say((await _block(pool, command)).plain())
        gc.collect()
    for pool in pools.values():
        pool.close()


if __name__ == "__main__":
    # The last processor: the kernel places most interrupts and early daemons on the first.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with contextlib.suppress(PermissionError):  # only root may go first
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    gc.disable()  # collected between blocks, not in the middle of a measurement
    uvloop.run(_serve())
