"""Running the frontend: settings, health, metrics, logs, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from frontend.metrics import Tenants
from frontend.settings import SettingsError, read_settings
from frontend.tokenizer import Tokenizer
from tests.unit.frontend_rig import MODEL, FakeTriton, Rig, running, write_tokenizer


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_tokenizer(tmp_path)
    return tmp_path


@pytest.fixture
def rig(directory: Path) -> Iterator[Rig]:
    with running(directory, max_tenants=3) as rig:
        yield rig


def environment(directory: Path, **changes: str) -> dict[str, str]:
    env = {"MODEL_NAME": MODEL, "TOKENIZER_DIR": str(directory), "MAX_INPUT_TOKENS": "64", "MAX_OUTPUT_TOKENS": "64"}
    return env | changes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_NAME", ""),
        ("MODEL_NAME", "a b"),
        ("TOKENIZER_DIR", "/nowhere"),
        ("MAX_INPUT_TOKENS", ""),
        ("MAX_INPUT_TOKENS", "0"),
        ("MAX_OUTPUT_TOKENS", "many"),
        ("MAX_BODY_BYTES", "-1"),
        ("PORT", "70000"),
        ("TRITON_URL", "https://127.0.0.1:8000"),
        ("TRITON_URL", "http://127.0.0.1:x"),
        ("ENGINE_MODE", "vllm"),
        ("POD_NAME", "a\nb"),
        ("DRAIN_SECONDS", "nan"),
        ("TOKEN_TIMEOUT_SECONDS", "soon"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_the_variable(directory: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment(directory, **{name: value}))
    said = str(caught.value)
    assert said.startswith(name)
    assert said.endswith(".")
    assert "\n" not in said.replace("a\nb", "")


def test_a_wrong_setting_ends_the_program_without_a_traceback(directory: Path) -> None:
    env = os.environ | environment(directory, MODEL_NAME="")
    done = subprocess.run([sys.executable, "-m", "frontend"], env=env, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (2, "frontend: MODEL_NAME is not set; give for example MODEL_NAME=tiny.\n")


def test_a_broken_tokenizer_ends_the_program_without_a_traceback(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{}")
    env = os.environ | environment(directory)
    done = subprocess.run([sys.executable, "-m", "frontend"], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "tokenizer.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_chat_model_of_several_end_tokens_knows_them_all(directory: Path) -> None:
    (directory / "generation_config.json").write_text('{"eos_token_id": [1, 7]}')
    assert Tokenizer(directory).end_ids == (1, 7)


def test_alive_and_ready_are_different_questions(rig: Rig) -> None:
    rig.triton.ready = False
    assert httpx.get(f"{rig.url}/health/live").status_code == 200
    reply = httpx.get(f"{rig.url}/health/ready")
    assert (reply.status_code, reply.json()["reason"]) == (503, "Triton answers 400 to /v2/health/ready")


def test_ready_needs_the_tensors_the_server_sends(rig: Rig) -> None:
    rig.triton.inputs.remove("streaming")
    reply = httpx.get(f"{rig.url}/health/ready")
    assert (reply.status_code, "no tensor streaming" in reply.json()["reason"]) == (503, True)


def samples(rig: Rig) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = httpx.get(f"{rig.url}/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(rig: Rig, tenant: str | None = "acme", **body: Any) -> httpx.Response:
    headers = {"x-client-id": tenant} if tenant else {}
    body = {"model": MODEL, "prompt": "the quick", "max_tokens": 50, **body}
    return httpx.post(f"{rig.url}/v1/completions", json=body, headers=headers)


def test_requests_and_tokens_are_counted_exactly_by_tenant(rig: Rig) -> None:
    for _ in range(3):
        ask(rig)
    ask(rig, stream=True)
    ask(rig, temperature=9)
    found = samples(rig)
    acme = (("model", MODEL), ("tenant", "acme"))
    route = ("route", "/v1/completions")

    def value(name: str, *more: tuple[str, str]) -> float:
        return found[name, tuple(sorted((*acme, *more)))]

    assert value("llmops_requests_total", route, ("code", "200")) == 4
    assert value("llmops_requests_total", route, ("code", "400")) == 1
    assert value("llmops_tokens_total", ("direction", "input")) == 4 * 3
    assert value("llmops_tokens_total", ("direction", "output")) == 4 * 4
    assert value("llmops_time_to_first_token_seconds_count") == 4
    assert value("llmops_request_duration_seconds_count", route) == 5
    assert found["llmops_inflight_requests", (("model", MODEL),)] == 0


def test_inter_token_latency_counts_every_streamed_token_after_the_first(rig: Rig) -> None:
    rig.triton.pause = 0.01
    ask(rig, stream=True)
    name = "llmops_inter_token_latency_seconds"
    found = samples(rig)
    acme = (("model", MODEL), ("tenant", "acme"))
    assert found[f"{name}_count", acme] == 3
    assert found[f"{name}_sum", acme] >= 0.03


def test_requests_in_flight_are_a_gauge(rig: Rig) -> None:
    rig.triton.pause = 30
    body = {"model": MODEL, "prompt": "x", "stream": True}
    with httpx.stream("POST", f"{rig.url}/v1/completions", json=body):
        assert samples(rig)["llmops_inflight_requests", (("model", MODEL),)] == 1
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")


def test_tenant_labels_are_bounded_in_number_and_length() -> None:
    tenants = Tenants(3)
    assert tenants.label(None) == tenants.label("") == "anonymous"
    assert tenants.label("a" * 500) == "a" * 64
    assert tenants.label('bad"label\n') == "bad_label_"
    assert [tenants.label(name) for name in ("x", "y", "z")] == ["x", "other", "other"]
    assert tenants.label("x") == "x"


def test_the_log_has_one_json_line_a_request_without_prompts_completions_or_keys(rig: Rig) -> None:
    rig.triton.text = "secret answer"
    body = {"model": MODEL, "prompt": "secret prompt", "max_tokens": 50}
    headers = {"authorization": "Bearer secret-key", "x-client-id": "acme"}
    assert "secret answer" in httpx.post(f"{rig.url}/v1/completions", json=body, headers=headers).text
    line = rig.wait_for_status(200)
    assert "secret" not in b"".join(rig.log).decode()
    names = ("tenant", "route", "status", "finish_reason", "stream")
    assert [line[name] for name in names] == ["acme", "/v1/completions", 200, "stop", False]
    assert line["duration_ms"] >= line["ttft_ms"] > 0


def test_probes_and_scrapes_are_not_logged(rig: Rig) -> None:
    for path in ("/health/live", "/health/ready", "/metrics", "/v1/models"):
        httpx.get(rig.url + path)
    rig.wait_for_status(200)
    assert [line["route"] for line in rig.log_lines()] == ["/v1/models"]


def test_after_sigterm_requests_in_flight_and_new_ones_are_answered_before_it_ends(directory: Path) -> None:
    triton = FakeTriton(Tokenizer(directory), pause=0.1)
    begun, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with triton.serving():
            begun.set()
            while not over.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert begun.wait(10)
    env = os.environ | environment(
        directory,
        TRITON_URL=f"http://127.0.0.1:{triton.port}",
        PORT="0",
        HOST="127.0.0.1",
        DRAIN_SECONDS="20",
        DRAIN_QUIET_SECONDS="0.3",
    )
    with subprocess.Popen([sys.executable, "-m", "frontend"], env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
            body = {"model": MODEL, "prompt": "x", "max_tokens": 50, "stream": True}
            with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=20) as streaming:
                lines = streaming.iter_lines()
                next(lines)
                process.send_signal(signal.SIGTERM)
                assert json.loads(process.stdout.readline())["event"] == "draining"
                assert httpx.get(f"{url}/health/ready").status_code == 503
                late = httpx.post(f"{url}/v1/completions", json={**body, "stream": False})
                assert (late.status_code, late.headers["connection"]) == (200, "close")
                assert [line for line in lines if line][-1] == "data: [DONE]"
            assert process.wait(20) == 0
        finally:
            process.kill()
            over.set()
            thread.join(10)
