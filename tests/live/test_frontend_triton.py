"""The frontend over real Triton: what the unit tests' fake cannot promise. No cluster needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from tokenizers import Tokenizer

from engine import train
from engine.log import Log
from engine.publish import Version, publish
from engine.recipe import Recipe
from sandbox.paths import cache_root
from tests.live.triton_host import TritonHost, serve, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ACTIVE = {"name": "nv_trt_llm_request_metrics", "request_type": "active"}


@dataclass(frozen=True)
class Served:
    """A frontend, the Triton behind it, and the tokenizer of both."""

    triton: TritonHost
    url: str
    tokenizer: Tokenizer

    def idle(self) -> bool:
        return self.triton.gauge(**ACTIVE) == 0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    checkpoint = cache_root() / "models" / train.key()
    if not checkpoint.is_dir():
        # What the text says does not matter here: a hasty model will do.
        checkpoint = tmp_path_factory.mktemp("checkpoint") / "hasty"
        train.train(checkpoint, Recipe(steps=10), Log(step="train"))
    store: Path = tmp_path_factory.mktemp("store")
    version = store / "tiny" / "1"
    publish(store, Version(model="tiny", version="1", checkpoint=checkpoint, root=str(version)), Log(step="publish"))
    with serve(version) as triton:
        env = os.environ | {
            "MODEL_NAME": "tiny",
            "TOKENIZER_DIR": str(version / "tokenizer"),
            "MAX_INPUT_TOKENS": "256",
            "MAX_OUTPUT_TOKENS": "768",
            "TRITON_URL": triton.url,
            "HOST": "127.0.0.1",
            "PORT": "0",
        }
        with subprocess.Popen([sys.executable, "-m", "frontend"], env=env, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                port = json.loads(process.stdout.readline())["port"]
                url = f"http://127.0.0.1:{port}"
                until(lambda: httpx.get(f"{url}/health/ready").status_code == 200, 10, "the frontend is ready")
                yield Served(triton, url, Tokenizer.from_file(str(version / "tokenizer" / "tokenizer.json")))
            finally:
                process.kill()


@pytest.fixture
def sdk(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_greedy_text_is_the_same_whole_streamed_and_from_ids(served: Served, sdk: openai.OpenAI) -> None:
    prompt = "The class statement"
    whole = sdk.completions.create(model="tiny", prompt=prompt, max_tokens=48, temperature=0)
    stream = sdk.completions.create(model="tiny", prompt=prompt, max_tokens=48, temperature=0, stream=True)
    ids = served.tokenizer.encode(prompt).ids
    by_ids = sdk.completions.create(model="tiny", prompt=ids, max_tokens=48, temperature=0)
    assert whole.choices[0].text == "".join(chunk.choices[0].text for chunk in stream) == by_ids.choices[0].text
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == len(ids)
    assert whole.usage.completion_tokens == 48


def test_a_seed_repeats_its_text_and_no_seed_does_not(sdk: openai.OpenAI) -> None:
    def say(seed: int | None) -> str:
        return sdk.completions.create(model="tiny", prompt="Python", max_tokens=32, seed=seed).choices[0].text

    assert say(7) == say(7)
    assert say(-7) == say(-7)
    assert len({say(None) for _ in range(4)}) > 1


def test_a_stop_string_ends_the_text_before_it(sdk: openai.OpenAI) -> None:
    full = sdk.completions.create(model="tiny", prompt="Python", max_tokens=48, temperature=0).choices[0].text
    stop = full[20:26]
    done = sdk.completions.create(model="tiny", prompt="Python", max_tokens=48, temperature=0, stop=stop)
    assert (done.choices[0].text, done.choices[0].finish_reason) == (full[: full.index(stop)], "stop")


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot_before_the_text_would_have_ended(served: Served, stream: bool) -> None:
    body = {"model": "tiny", "prompt": "x", "max_tokens": 768, "ignore_eos": True}
    url = f"{served.url}/v1/completions"
    counter = "llmops_tokens_total"

    def generated() -> float:
        lines = httpx.get(f"{served.url}/metrics").text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith(counter) and 'direction="output"' in line
        )

    before = generated()
    if stream:
        with httpx.stream("POST", url, json={**body, "stream": True}, timeout=60) as reply:
            next(reply.iter_lines())
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, timeout=httpx.Timeout(60, read=0.05))
    until(served.idle, 10, "the slot is free")
    until(lambda: generated() > before, 10, "the tokens are booked")
    assert generated() - before < 768


def test_thirty_two_at_once_all_get_their_own_text(sdk: openai.OpenAI) -> None:
    prompts = ["The class statement", "Python", "An expression is", "if x:"]

    def say(prompt: str) -> str:
        return sdk.completions.create(model="tiny", prompt=prompt, max_tokens=24, temperature=0).choices[0].text

    alone = {prompt: say(prompt) for prompt in prompts}
    with ThreadPoolExecutor(32) as pool:
        for prompt, text in zip(prompts * 8, pool.map(say, prompts * 8), strict=True):
            assert text == alone[prompt]


def test_a_parameter_the_engine_lacks_is_refused_and_not_ignored(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.completions.create(model="tiny", prompt="x", logit_bias={"5": 10})
    assert caught.value.param == "logit_bias"


def test_an_engine_error_is_told_in_openais_form(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.completions.create(model="tiny", prompt=[5] * 256, max_tokens=769)
    assert caught.value.param == "max_tokens"
