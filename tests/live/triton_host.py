"""Real Triton on this host, without containers: one published version served on free loopback ports."""

import contextlib
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx

from sandbox.paths import REPOSITORY, cache_root
from sandbox.toolchain import wheels

PINS = REPOSITORY / "engine" / "triton_cpu" / "requirements.txt"
# What the triton-cpu image sets for the same reason: small stubs.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True, kw_only=True)
class TritonHost:
    """A running server."""

    process: subprocess.Popen[bytes]
    http: int
    grpc: int
    metrics_port: int
    log: Path

    @property
    def url(self) -> str:
        """Base URL of the HTTP endpoint."""
        return f"http://127.0.0.1:{self.http}"

    def ready(self) -> bool:
        """What the readiness probe sees."""
        try:
            return httpx.get(f"{self.url}/v2/health/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def gauge(self, name: str, **labels: str) -> float:
        """The value of one metric that carries all of `labels`. Raises KeyError where there is none."""
        for line in httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text.splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(f"{name}{labels}")

    def stubs(self) -> dict[str, int]:
        """The process id of each model's stub."""
        found: dict[str, int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                status = (entry / "status").read_text()
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                # Triton starts each stub through a shell, which counts as its parent.
                if "triton_python_backend_stub" in command[0] and self._is_ours(status):
                    found[Path(command[1]).parent.parent.name] = int(entry.name)
        return found

    def resident(self) -> dict[str, tuple[int, int]]:
        """(proportional, resident) set size in MiB of the server and of each stub."""
        processes = {"tritonserver": self.process.pid, **self.stubs()}
        return {name: _memory(pid) for name, pid in processes.items()}

    def stop(self, seconds: float = 30) -> None:
        """Ask the server to drain and exit, as Kubernetes does. Raises TimeoutExpired when it does not."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)

    def _is_ours(self, status: str) -> bool:
        parent = int(re.findall(r"PPid:\s+(\d+)", status)[0])
        if parent in (0, 1):
            return False
        if parent == self.process.pid:
            return True
        return self._is_ours(Path(f"/proc/{parent}/status").read_text())


@contextlib.contextmanager
def serve(
    version: Path, seconds: float = 120, exit_timeout: int = 30, *, complete: bool = False
) -> Generator[TritonHost]:
    """Serve the version directory `version`, which was published with itself as its root.

    With `complete`, models may complete their configuration.
    """
    with tempfile.TemporaryDirectory(prefix="triton-") as directory:
        log = Path(directory) / "log"
        http, grpc, metrics = _free_ports(3)
        command = [
            str(_server() / "bin" / "tritonserver"),
            f"--model-repository={version / 'repository'}",
            f"--backend-directory={_server() / 'backends'}",
            f"--backend-config=python,shm-region-prefix-name=t{http}_",
            f"--exit-timeout-secs={exit_timeout}",
            *([] if complete else ["--disable-auto-complete-config"]),
            "--allow-gpu-metrics=false",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            f"--http-port={http}",
            f"--grpc-port={grpc}",
            f"--metrics-port={metrics}",
        ]
        libraries = f"{_server().parent / 'lib'}:{sysconfig.get_config_var('LIBDIR')}"
        # The stub reads no PYTHON* variables and takes the first python3 on PATH for its own: that must not be the
        # tests' environment, whose numpy it was not built for.
        home = {"PATH": f"{sys.base_prefix}/bin:{os.defpath}", "LD_LIBRARY_PATH": libraries}
        environment = {**os.environ, **ENVIRONMENT, **home}
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        host = TritonHost(process=process, http=http, grpc=grpc, metrics_port=metrics, log=log)
        try:
            until(lambda: host.ready() or process.poll() is not None, seconds, "Triton is ready")
            if process.poll() is not None:
                raise RuntimeError(f"Triton ended with {process.returncode}:\n{log.read_text()[-3000:]}")
            yield host
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(exit_timeout + 10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            # What killed stubs leave behind.
            for region in Path("/dev/shm").glob(f"t{http}_*"):
                region.unlink(missing_ok=True)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, looking every 20 ms. Raises TimeoutError naming `what` did not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        select.select([], [], [], 0.02)


def _server() -> Path:
    """A tree with Triton, its libraries and the Python packages of its backend; made once for each set of pins."""
    wheel = wheels.directory("nvidia-pytriton")
    key = hashlib.sha256(PINS.read_bytes() + wheel.name.encode()).hexdigest()[:12]
    home = cache_root() / "triton-host" / key
    if not home.is_dir():
        part = home.with_name(f".{key}.{os.getpid()}")
        backend = part / "server" / "backends" / "python"
        shutil.copytree(wheel / "pytriton" / "tritonserver", part / "server", ignore=_other_stubs)
        shutil.copytree(wheel / "nvidia_pytriton.libs", part / "lib")
        shutil.copy2(part / "server" / "python_backend_stubs" / "3.11" / "triton_python_backend_stub", backend)
        # The stub ignores PYTHONPATH, but has its own directory on sys.path.
        beside = Path(sys.executable).with_name("uv")
        install = [str(beside) if beside.exists() else "uv", "pip", "install", "-q", "--no-deps"]
        install += ["--python", sys.executable, "--target", str(backend), "-r", str(PINS)]
        subprocess.run(install, check=True)
        part.rename(home)
    return home / "server"


def _other_stubs(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if directory.endswith("python_backend_stubs") and name != "3.11"]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _memory(pid: int) -> tuple[int, int]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss, rss = (int(re.findall(rf"^{name}:\s+(\d+)", text, re.M)[0]) // 1024 for name in ("Pss", "Rss"))
    return pss, rss
