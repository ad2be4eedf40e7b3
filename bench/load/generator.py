"""The load generator seen from the bench."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from bench.errors import BenchError
from bench.load.connection import Target
from bench.load.shapes import Measured

TRIES = 2  # of a block on a busy machine
LATE = 5.0  # ms: a generator later than this was short of processor time, and so were the servers


class Generator:
    """A running load generator and its targets, one for each arm."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._send({n: {"addresses": t.addresses, "request": t.request.decode()} for n, t in targets.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def one(self, arm: str) -> tuple[int, str]:
        """A single request: its status (0: no connection) and body."""
        self._send({"arm": arm})
        answer = self._receive()
        return int(answer["status"]), str(answer["body"])

    def open_loop(self, arm: str, rate: float, seconds: float, seed: int, warm_up: float = 1.0) -> Measured:
        """Poisson arrivals at `rate` a second; repeated while the generator is late, the least late is taken.

        Raises BenchError for failed requests.
        """
        command = {"arm": arm, "rate": rate, "seconds": seconds, "seed": seed, "warm_up": warm_up}
        tries: list[Measured] = []
        while len(tries) < TRIES and not any(measured.late <= LATE for measured in tries):
            tries.append(self._block(command)[0])
        return min(tries, key=lambda measured: measured.late)

    def closed_loop(
        self,
        arm: str,
        connections: int,
        seconds: float,
        meter: Callable[[], Callable[[], dict[str, float]]] | None = None,
        warm_up: float = 1.0,
    ) -> tuple[Measured, dict[str, float]]:
        """`connections` senders at full speed; also what the meter read while it measured.

        Raises BenchError for failed requests.
        """
        command = {"arm": arm, "connections": connections, "seconds": seconds, "warm_up": warm_up}
        return self._block(command, meter)

    def _block(
        self, command: dict[str, Any], meter: Callable[[], Callable[[], dict[str, float]]] | None = None
    ) -> tuple[Measured, dict[str, float]]:
        self._send(command)
        answer, read = self._receive(), None
        if answer.get("measuring"):
            read = meter() if meter else None
            answer = self._receive()
        used = read() if read else {}
        measured = Measured(**answer)
        if bad := {status: count for status, count in measured.statuses.items() if status != "200"}:
            raise BenchError(f"{command['arm']}: {sum(bad.values())} of its requests failed (by status: {bad}).")
        if not measured.milliseconds:
            raise BenchError(f"{command['arm']}: no request was answered within {command['seconds']} s.")
        return measured, used

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> BenchError:
        return BenchError(f"The load generator ended with {self._process.wait()}: its message is above.")
