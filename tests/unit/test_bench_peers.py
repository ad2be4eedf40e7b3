"""LiteLLM's proxy as the bench starts it, played by a script: its start, its environment, its end."""

import json
import os
from pathlib import Path

import pytest

from bench import peers
from bench.errors import BenchError

SERVING = """#!/usr/bin/env python3
import http.server, json, os, sys
json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ)}, open("seen.json", "w"))
class Alive(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Alive).serve_forever()
"""
FAILING = "#!/bin/sh\necho 'no such option'; exit 3\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    program = tmp_path / "venv" / "bin" / "litellm"
    program.touch(0o755)
    monkeypatch.setattr(peers, "environment", lambda: tmp_path / "venv")
    return program


def test_it_starts_on_loopback_without_the_users_environment(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.write_text(SERVING)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    with peers.LiteLLM(tmp_path / "run", peers.configuration("m", ["http://10.0.0.1:9000/v1"])) as litellm:
        seen = json.loads((tmp_path / "run" / "seen.json").read_text())
        (pid,) = litellm.processes
    assert seen["arguments"][:2] == ["--host", "127.0.0.1"]
    assert "OPENAI_API_KEY" not in seen["environment"]
    assert seen["environment"]["LITELLM_OFFLINE_MODE"] == "true"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_proxy_that_does_not_start_says_its_last_words(installed: Path, tmp_path: Path) -> None:
    installed.write_text(FAILING)
    with pytest.raises(BenchError, match="LiteLLM ended with 3: no such option"):
        peers.LiteLLM(tmp_path / "run", peers.configuration("m", []))


def test_every_backend_is_a_deployment_with_a_limit_behind_a_key() -> None:
    config = peers.configuration("m", ["http://10.0.0.1:9000/v1", "http://10.0.0.2:9000/v1"])
    assert [d["litellm_params"]["api_base"] for d in config["model_list"]] == [
        "http://10.0.0.1:9000/v1",
        "http://10.0.0.2:9000/v1",
    ]
    assert all(d["litellm_params"]["rpm"] for d in config["model_list"])
    assert config["general_settings"]["master_key"] == peers.KEY
