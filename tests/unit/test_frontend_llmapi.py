"""The frontend in ``llmapi`` mode, over a Triton whose model has the LLM API's tensors and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest
from aiohttp import web

from tests.llmapi import inputs
from tests.unit.frontend_rig import MODEL, FakeTriton, Rig, running, write_tokenizer

PROMPT = "the quick brown fox"


@dataclass
class FakeLlmApi(FakeTriton):
    """Answers the whole text so far at each step, and why it ended at the last (tests/live proves it of the server).

    Where Triton would ignore a tensor the model does not have, this refuses it: nothing may depend on such a one.
    """

    inputs: list[str] = field(default_factory=inputs)
    step: int = 1
    """Tokens an engine step, as with speculative decoding."""
    reason: str | None = None
    """Says this instead of the true finish reason."""

    async def _say(self, request: web.Request, response: web.StreamResponse, tensors: dict[str, Any]) -> None:
        stream: bool = tensors["streaming"]
        if unknown := tensors.keys() - set(self.inputs):
            await self._write(response, {"error": f"unexpected inference input '{min(unknown)}'"}, stream=stream)
            return
        wanted: int = tensors["sampling_param_max_tokens"]
        said = self.tokenizer.encode(self.text, special=False)
        natural = list(islice(cycle(said), wanted + 1)) if self.endless else [*said, 1]
        ids, reason = natural[:wanted], "stop" if len(natural) <= wanted else "length"
        steps = range(self.step, len(ids) + self.step, self.step) if stream else [len(ids)]
        for index, upto in enumerate(steps):
            if self.pause and index:
                await asyncio.sleep(self.pause)
            if index == self.fail_after:
                await self._write(response, {"error": "Error generating request: at 10.0.0.7"}, stream=stream)
                return
            ended = upto >= len(ids)
            if ended and self.reason == "cut":
                return
            text = self.tokenizer.decode(ids[:upto])
            why = str((self.reason or reason) if ended else None)
            await self._write(response, {"text_output": text, "finish_reason": why}, stream=stream)
            self.sent = min(upto, len(ids))

    async def _write(self, response: web.StreamResponse, event: dict[str, Any], *, stream: bool) -> None:
        body = orjson.dumps(event)
        await response.write(b"data: %b\n\n" % body if stream else body)


@pytest.fixture(scope="module")
def module_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    with running(directory, FakeLlmApi, mode="llmapi", whole_reply_tokens=16) as rig:
        yield rig


@pytest.fixture
def rig(module_rig: Rig) -> Rig:
    module_rig.triton.reset()
    return module_rig


@pytest.fixture
def fake(rig: Rig) -> FakeLlmApi:
    assert isinstance(rig.triton, FakeLlmApi)
    return rig.triton


@pytest.fixture
def sdk(rig: Rig) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{rig.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def complete(rig: Rig, **body: Any) -> httpx.Response:
    return httpx.post(f"{rig.url}/v1/completions", json={"model": MODEL, "prompt": PROMPT, **body}, timeout=20)


@pytest.mark.parametrize("max_tokens", [16, 40], ids=["in one piece", "collected from a stream"])
def test_text_usage_and_reason_are_those_of_the_engine(rig: Rig, sdk: openai.OpenAI, max_tokens: int) -> None:
    done = sdk.completions.create(model=MODEL, prompt=PROMPT, max_tokens=max_tokens)
    tokens = rig.triton.tokenizer
    assert (done.choices[0].text, done.choices[0].finish_reason) == ("hello world", "stop")
    assert done.usage is not None
    assert done.usage.prompt_tokens == len(tokens.encode(PROMPT))
    assert done.usage.completion_tokens == len(tokens.encode("hello world", special=False)) + 1
    assert rig.triton.requests[-1]["streaming"] == (max_tokens == 40)


def test_a_stream_shows_each_word_once_and_no_half_of_a_character(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text, rig.triton.pause = "hello wörld ☃ again", 0.005
    stream = sdk.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=60, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    assert "".join(texts) == "hello wörld ☃ again"
    assert len([text for text in texts if text]) > 5
    assert not any("\ufffd" in text for text in texts)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(rig.triton.tokenizer.encode(rig.triton.text, special=False)) + 1


def test_a_character_that_the_limit_cuts_is_shown_as_cut(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text = "☃"
    done = sdk.completions.create(model=MODEL, prompt=PROMPT, max_tokens=1)
    assert (done.choices[0].text, done.choices[0].finish_reason) == ("\ufffd", "length")


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_cut_by_its_limit_counts_all_of_it(rig: Rig, fake: FakeLlmApi, stream: bool) -> None:
    fake.endless, fake.step = True, 3
    body = {"max_tokens": 20, "stream": stream} | ({"stream_options": {"include_usage": True}} if stream else {})
    reply = complete(rig, **body)
    last = orjson.loads(reply.text.split("data: ")[-2]) if stream else reply.json()
    assert last["usage"]["completion_tokens"] == 20
    assert '"finish_reason":"length"' in reply.text


def test_several_tokens_an_engine_step_are_counted_by_their_text(rig: Rig, fake: FakeLlmApi) -> None:
    fake.step = 3
    assert complete(rig, max_tokens=40).json()["usage"]["completion_tokens"] == 1 + len(
        fake.tokenizer.encode("hello world", special=False)
    )


def test_a_stop_string_is_found_here_and_stops_the_engine(rig: Rig, fake: FakeLlmApi) -> None:
    fake.endless, fake.pause = True, 0.005
    reply = complete(rig, max_tokens=3000, stop=["o wor"]).json()
    assert (reply["choices"][0]["text"], reply["choices"][0]["finish_reason"]) == ("hell", "stop")
    rig.wait(lambda: fake.abandoned == 1, "the engine was told")
    assert 0 < reply["usage"]["completion_tokens"] < 20
    assert "sampling_param_stop" not in fake.requests[-1]


def test_a_client_that_leaves_stops_the_engine_and_is_counted(rig: Rig, fake: FakeLlmApi) -> None:
    fake.endless, fake.pause = True, 0.005
    body = {"model": MODEL, "prompt": PROMPT, "max_tokens": 3000, "stream": True}
    with httpx.stream("POST", f"{rig.url}/v1/completions", json=body, timeout=20) as reply:
        next(reply.iter_lines())
    rig.wait(lambda: fake.abandoned == 1, "the engine was told")
    assert 0 < rig.wait_for_status(499)["completion_tokens"] < 3000


def test_greedy_and_sampled_are_said_in_the_llm_apis_words(rig: Rig) -> None:
    complete(rig, temperature=0)
    greedy = rig.triton.requests[-1]
    assert greedy["sampling_param_top_k"] == 1
    assert not greedy.keys() & {"sampling_param_temperature", "sampling_param_top_p", "sampling_param_seed"}
    complete(rig, temperature=0.5, top_p=0.9, top_k=7, seed=-3, presence_penalty=1, frequency_penalty=-1)
    asked = {k.removeprefix("sampling_param_"): v for k, v in rig.triton.requests[-1].items() if "sampling" in k}
    assert asked == {
        "max_tokens": 16,
        "exclude_input_from_output": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "seed": (1 << 63) - 3,
        "presence_penalty": 1,
        "frequency_penalty": -1,
    }
    complete(rig)
    assert {"sampling_param_temperature", "sampling_param_top_p"} <= rig.triton.requests[-1].keys()


@pytest.mark.parametrize(
    ("param", "value"), [("repetition_penalty", 1.2), ("min_tokens", 2), ("ignore_eos", True), ("prompt", [5, 6])]
)
def test_what_the_model_cannot_do_is_refused_by_name(rig: Rig, param: str, value: object) -> None:
    reply = complete(rig, **{param: value})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert reply.json()["error"]["code"] == "unsupported_parameter"
    assert not rig.triton.requests


def test_a_chats_special_tokens_are_not_doubled(rig: Rig, sdk: openai.OpenAI) -> None:
    done = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    # The engine puts <s> before any text by itself.
    assert rig.triton.requests[-1]["text_input"] == "<|user|>hello<|assistant|>"
    assert done.usage is not None
    assert done.usage.prompt_tokens == len(rig.triton.tokenizer.encode("<|user|>hello<|assistant|>"))


def test_an_engines_failure_is_the_servers_and_keeps_its_words_from_clients(rig: Rig) -> None:
    rig.triton.status, rig.triton.error = 400, "Error generating request: at 10.0.0.7"
    reply = complete(rig)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    assert "10.0.0.7" not in reply.text
    assert "10.0.0.7" in rig.wait_for_status(500)["detail"]


def test_a_failure_in_a_stream_is_its_last_event(rig: Rig) -> None:
    rig.triton.fail_after = 2
    text = complete(rig, max_tokens=40, stream=True).text
    assert '"internal_error"' in text.split("data: ")[-1]
    assert "[DONE]" not in text


@pytest.mark.parametrize(("reason", "status"), [("timeout", 504), ("cancelled", 503), ("cut", 500)])
def test_a_reply_that_did_not_end_well_is_no_answer(rig: Rig, fake: FakeLlmApi, reason: str, status: int) -> None:
    fake.reason = reason
    assert complete(rig, max_tokens=40).status_code == status


@pytest.mark.parametrize("lacking", ["decoupled", "return_finish_reason"])
def test_a_model_that_cannot_serve_is_not_ready_and_says_why(
    lacking: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    with running(directory, FakeLlmApi, mode="llmapi") as rig:
        rig.triton.decoupled = lacking != "decoupled"
        rig.triton.inputs = [name for name in rig.triton.inputs if name != lacking]
        reply = httpx.get(f"{rig.url}/health/ready")
        assert reply.status_code == 503
        assert lacking in reply.json()["reason"]
        assert complete(rig).status_code == 500


def test_a_model_that_can_serve_is_ready(rig: Rig) -> None:
    assert httpx.get(f"{rig.url}/health/ready").status_code == 200
