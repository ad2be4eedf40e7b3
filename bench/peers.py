"""LiteLLM's proxy on loopback: the gateway that ours is compared with.

No database, one worker, a master key, a requests-per-minute limit: its fastest way of doing what ours does. It is
set to contact nothing but the backends given (its price list, telemetry, news and templates all have a switch).
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import processes
from bench.errors import BenchError
from sandbox import paths
from sandbox.toolchain import registry

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
KEY = "sk-bench"
START = 120  # seconds that it may take: its imports alone are several on a busy machine
# https://docs.litellm.ai/docs/proxy/prod, and the switches found in its source (1.109.1).
ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_OFFLINE_MODE": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "PYTHONUNBUFFERED": "1",
}


def version() -> str:
    """The pinned version."""
    line = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("litellm["))
    return line.split("==")[1].split()[0]


def environment() -> Path:
    """The Python environment with LiteLLM, made on first use and kept in the cache. Raises BenchError."""
    key = hashlib.sha256(f"{sys.version_info[:2]}{REQUIREMENTS.read_text()}".encode()).hexdigest()[:12]
    final = paths.cache_root() / "venv" / f"peers-{key}"
    if (final / ".ready").exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with open(final.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (final / ".ready").exists():
            _install(final)
    return final


def _install(final: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    variables = {"UV_CACHE_DIR": str(paths.cache_root() / "uv"), **os.environ, **registry.uv_environment()}
    shutil.rmtree(final, ignore_errors=True)
    requirements = [line.split("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines()]
    final.mkdir(parents=True)
    overrides = final / "overrides.txt"
    # What LiteLLM itself pins tighter than every mirror can serve.
    overrides.write_text("\n".join(r for r in requirements if r and not r.startswith("litellm[")) + "\n")
    install = ["pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(final / "bin" / "python")]
    install += ["--requirement", str(REQUIREMENTS), "--override", str(overrides)]
    create = ["venv", "--quiet", "--allow-existing", "--no-project", "--python", sys.executable, str(final)]
    for arguments in (create, install):
        done = subprocess.run([uv, *arguments], env=variables, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"LiteLLM {version()} cannot be installed: {' '.join(done.stderr.split())[-400:]}")
    (final / ".ready").touch()


def configuration(model: str, backends: Sequence[str], minute: int = 1_000_000) -> dict[str, Any]:
    """LiteLLM's config for one model on OpenAI-compatible backends (base URLs that end in /v1)."""
    return {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"openai/{model}",
                    "api_base": backend,
                    "api_key": "none",
                    "rpm": minute,
                    "tpm": minute * 100,
                },
            }
            for backend in backends
        ],
        "litellm_settings": {"request_timeout": 60, "telemetry": False, "num_retries": 0},
        "router_settings": {
            "routing_strategy": "simple-shuffle",  # its fastest, and the one its documentation recommends
            "optional_pre_call_checks": ["enforce_model_rate_limits"],
        },
        "general_settings": {"master_key": KEY},
    }


class LiteLLM:
    """A running proxy. `port` is on 127.0.0.1."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        python = environment() / "bin" / "python"
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "litellm.json"  # JSON is YAML
        file.write_text(json.dumps(config))
        self.port = _free_port()
        self.log = directory / "litellm.log"
        # Nothing of the user's environment: it may hold keys, proxies and settings of other LiteLLMs.
        variables = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(directory), **ENVIRONMENT}
        command = [str(python.with_name("litellm")), "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--config", str(file), "--num_workers", "1", "--telemetry", "False"]
        with self.log.open("w") as log:
            self._process = subprocess.Popen(command, cwd=directory, env=variables, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def processes(self) -> list[int]:
        """All of its processes."""
        return processes.tree(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START
        while not _answers(self.port):
            if self._process.poll() is not None:
                raise BenchError(f"LiteLLM ended with {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise BenchError(f"LiteLLM does not answer after {START} s: {self._last_words()}")
            time.sleep(0.2)

    def _last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace").split())[-400:] or "it said nothing"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == 200
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
