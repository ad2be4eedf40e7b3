"""The frontend in ``llmapi`` mode over real Triton: the generate extension with the LLM API model's own tensors.

The model behind them says words without a GPU (tests/llmapi): what is proved is Triton's part and ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from shutil import copytree

import httpx
import openai
import pytest

from tests import llmapi
from tests.live.triton_host import TritonHost, serve, until
from tests.unit.frontend_rig import write_tokenizer

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

FIVE = "alpha beta é! delta"


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Generator[TritonHost]:
    version: Path = tmp_path_factory.mktemp("version")
    copytree(llmapi.REPOSITORY / "tensorrt_llm", version / "repository" / "tensorrt_llm")
    with serve(version, complete=True) as triton:
        yield triton


@pytest.fixture(scope="module")
def url(triton: TritonHost, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    tokenizer: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(tokenizer)
    env = os.environ | {
        "ENGINE_MODE": "llmapi",
        "MODEL_NAME": "words",
        "TOKENIZER_DIR": str(tokenizer),
        "MAX_INPUT_TOKENS": "256",
        "MAX_OUTPUT_TOKENS": "4000",
        "TRITON_URL": triton.url,
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    with subprocess.Popen([sys.executable, "-m", "frontend"], env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
            until(lambda: httpx.get(f"{url}/health/ready").status_code == 200, 10, "the frontend is ready")
            yield url
        finally:
            process.kill()


@pytest.fixture
def sdk(url: str) -> Generator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_a_text_is_the_same_whole_and_streamed(sdk: openai.OpenAI) -> None:
    whole = sdk.completions.create(model="words", prompt="x", max_tokens=5)
    chunks = list(sdk.completions.create(model="words", prompt="x", max_tokens=5, stream=True))
    assert whole.choices[0].text == FIVE == "".join(chunk.choices[0].text for chunk in chunks)
    assert whole.choices[0].finish_reason == "length" == chunks[-1].choices[0].finish_reason
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 5
    assert not any("\ufffd" in chunk.choices[0].text for chunk in chunks)


def test_a_text_that_ends_by_itself_says_so(sdk: openai.OpenAI) -> None:
    done = sdk.completions.create(model="words", prompt="short", max_tokens=70)
    assert (done.choices[0].text, done.choices[0].finish_reason) == ("alpha beta gamma", "stop")


def test_every_tensor_arrives_with_its_value(sdk: openai.OpenAI) -> None:
    done = sdk.completions.create(
        model="words",
        prompt="tell",
        temperature=0.5,
        top_p=0.25,
        seed=(1 << 63) - 1,
        presence_penalty=1.5,
        frequency_penalty=-1,
        extra_body={"top_k": 7},
    )
    assert json.loads(done.choices[0].text) == {
        "text_input": ["b'tell'"],
        "streaming": [False],
        "return_finish_reason": [True],
        "sampling_param_max_tokens": [16],
        "sampling_param_exclude_input_from_output": [True],
        "sampling_param_temperature": [0.5],
        "sampling_param_top_p": [0.25],
        "sampling_param_top_k": [7],
        "sampling_param_seed": [(1 << 63) - 1],
        "sampling_param_presence_penalty": [1.5],
        "sampling_param_frequency_penalty": [-1.0],
    }


def test_a_stop_string_ends_the_text_and_frees_the_slot(triton: TritonHost, sdk: openai.OpenAI) -> None:
    done = sdk.completions.create(model="words", prompt="x", max_tokens=4000, stop=" beta é")
    assert (done.choices[0].text, done.choices[0].finish_reason) == ("alpha", "stop")
    until(lambda: triton.gauge("llmapi_requests", state="active") == 0, 5, "the slot is free")


def test_a_client_that_leaves_frees_its_slot_before_the_text_would_have_ended(triton: TritonHost, url: str) -> None:
    body = {"model": "words", "prompt": "x", "max_tokens": 4000, "stream": True}  # 20 s
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as reply:
        lines = reply.iter_lines()  # kept: httpx hangs up when the iterator goes
        next(lines)
        until(lambda: triton.gauge("llmapi_requests", state="active") == 1, 5, "it runs")
    until(lambda: triton.gauge("llmapi_requests", state="active") == 0, 5, "the slot is free")


def test_an_engine_that_fails_is_told_in_openais_form(url: str) -> None:
    for body in ({"prompt": "fail"}, {"prompt": "fail", "stream": True}):
        reply = httpx.post(f"{url}/v1/completions", json={"model": "words", **body})
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    late = httpx.post(f"{url}/v1/completions", json={"model": "words", "prompt": "late fail", "stream": True}).text
    assert '"code":"internal_error"' in late.split("data: ")[-1]
