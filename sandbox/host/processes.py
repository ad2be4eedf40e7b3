"""The processes that the language host runs, and their end."""

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from sandbox.host import warm

PROGRAM = Path(__file__).with_name("program.py")


class ProgramError(RuntimeError):
    """A program cannot be started; the text is one sentence."""


class Processes:
    """Everything that was started and has not ended."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._warm: list[socket.socket] = []
        self._lock = threading.Lock()

    def run_program(self, python: str, order: dict[str, Any], folder: Path) -> int:
        """Run a Pulumi program to its end; its exit code. `order` is the request for program.py.

        Raises ProgramError where the interpreter is missing.
        """
        if python == sys.executable:
            connection = warm.run({**order, "environment": dict(os.environ), "pwd": str(folder)})
            if connection is not None and (code := self._await(connection)) is not None:
                return code
        read, write = os.pipe()
        try:
            # -P: the runner's own directory is not on the program's path.
            command = [python, "-u", "-P", str(PROGRAM), str(read)]
            process = self._start(command, str(folder), dict(os.environ), (read,), piped=False)
        except OSError as error:
            os.close(write)
            raise ProgramError(
                f"{python} does not run ({error.strerror}): check `runtime.options.virtualenv` in Pulumi.yaml."
            ) from None
        finally:
            os.close(read)
        try:
            with open(write, "wb", buffering=0) as pipe:  # open as long as the program runs: it ends with us
                _write_all(pipe, json.dumps(order).encode() + b"\n")
                return process.wait()
        finally:
            self._forget(process)

    def _await(self, connection: socket.socket) -> int | None:
        """The exit code of a program in the warm runner; None if the runner could not take it."""
        with self._lock:
            self._warm.append(connection)
        try:
            with connection:
                taken, answer = connection.recv(1), b""
                if not taken:
                    return None
                while chunk := connection.recv(64):
                    answer += chunk
                return int(answer) if answer.strip() else 1
        except OSError:
            return 130  # terminated
        finally:
            with self._lock:
                self._warm.remove(connection)

    def stream(
        self, command: Sequence[str], folder: str | None, environment: dict[str, str] | None, stop: threading.Event
    ) -> Iterator[tuple[str, bytes]]:
        """Run a plugin: its output as ("stdout" | "stderr", line), at last ("exit", code). `stop` ends it."""
        process = self._start(command, folder, environment, (), piped=True)
        lines: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()

        def pump(name: str, stream: IO[bytes]) -> None:
            for line in iter(stream.readline, b""):
                lines.put((name, line))
            lines.put(None)

        def watch() -> None:
            stop.wait()
            _end(process)

        assert process.stdout is not None
        assert process.stderr is not None
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            threading.Thread(target=pump, args=(name, pipe), daemon=True).start()
        threading.Thread(target=watch, daemon=True).start()
        for _ in range(2):
            yield from iter(lines.get, None)
        code = process.wait()
        self._forget(process)
        yield "exit", str(code).encode()

    def terminate(self) -> None:
        """Ask everything that runs to end."""
        with self._lock:
            running, warm_ones = list(self._running), list(self._warm)
        for connection in warm_ones:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for process in running:
            _end(process)

    def _start(
        self,
        command: Sequence[str],
        folder: str | None,
        environment: dict[str, str] | None,
        descriptors: tuple[int, ...],
        *,
        piped: bool,
    ) -> subprocess.Popen[bytes]:
        target = subprocess.PIPE if piped else None
        process = subprocess.Popen(
            command, cwd=folder, env=environment, pass_fds=descriptors, stdout=target, stderr=target
        )
        with self._lock:
            self._running.append(process)
        return process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if process in self._running:
                self._running.remove(process)


def _write_all(pipe: IO[bytes], data: bytes) -> None:
    try:
        while data:
            data = data[pipe.write(data) :]
    except BrokenPipeError:
        pass  # it ended before it read; its exit code says why


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
