"""The OpenAI SDK is the contract: what it sends is understood, what comes back it understands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.unit.frontend_rig import MODEL, Rig, running, write_tokenizer


@pytest.fixture(scope="module")
def module_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    with running(directory) as rig:
        yield rig


@pytest.fixture
def rig(module_rig: Rig) -> Rig:
    module_rig.triton.reset()
    return module_rig


@pytest.fixture
def sdk(rig: Rig) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{rig.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_a_completion_has_text_usage_and_a_reason(sdk: openai.OpenAI) -> None:
    done = sdk.completions.create(model=MODEL, prompt="the quick", max_tokens=50)
    assert (done.choices[0].text, done.choices[0].finish_reason) == ("hello world", "stop")
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (3, 4, 7)


def test_a_completion_without_max_tokens_gets_sixteen(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.endless = True
    done = sdk.completions.create(model=MODEL, prompt="the quick")
    assert done.usage is not None
    assert (done.usage.completion_tokens, done.choices[0].finish_reason) == (16, "length")


def test_a_chat_answers_as_the_assistant(sdk: openai.OpenAI) -> None:
    done = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=50)
    message = done.choices[0].message
    assert (message.role, message.content, done.object) == ("assistant", "hello world", "chat.completion")


def test_the_chat_template_writes_the_prompt(rig: Rig, sdk: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}],  # pyright: ignore[reportArgumentType]
    )
    prompt = rig.triton.requests[0]["input_ids"]
    assert prompt[0] == 0
    assert rig.triton.tokenizer.decode(prompt) == "<|system|>Be brief.<|user|>one two<|assistant|>"


def test_a_streamed_chat_opens_with_the_role_and_ends_with_the_usage(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text = "wörld 日本語 🎉"
    stream = sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=500,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == rig.triton.text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    assert usage.completion_tokens == len(rig.triton.tokenizer.encode(rig.triton.text, special=False)) + 1
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_streamed_completion_says_the_same_as_a_whole_one(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text = "the lazy dog söys 語"
    whole = sdk.completions.create(model=MODEL, prompt="x", max_tokens=300)
    stream = sdk.completions.create(model=MODEL, prompt="x", max_tokens=300, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text == rig.triton.text


def test_no_streamed_chunk_holds_half_a_character(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text, rig.triton.pause = "語🎉é", 0.001
    stream = sdk.completions.create(model=MODEL, prompt="x", max_tokens=300, stream=True)
    assert [chunk.choices[0].text for chunk in stream] == ["語", "🎉", "é", ""]


def test_a_text_cut_inside_a_character_ends_with_the_replacement_mark(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.text = "a語"
    texts = [sdk.completions.create(model=MODEL, prompt="x", max_tokens=3).choices[0].text]
    stream = sdk.completions.create(model=MODEL, prompt="x", max_tokens=3, stream=True)
    texts.append("".join(chunk.choices[0].text for chunk in stream))
    assert texts == ["a\ufffd", "a\ufffd"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_across_tokens_ends_the_text_before_it(rig: Rig, stream: bool) -> None:
    rig.triton.text, rig.triton.endless, rig.triton.pause = "the lazy dog ", True, 0.001

    async def ask() -> str:
        async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key="unused", max_retries=0) as sdk:
            if not stream:
                done = await sdk.completions.create(model=MODEL, prompt="x", max_tokens=3000, stop="zy do")
                assert done.choices[0].finish_reason == "stop"
                return done.choices[0].text
            chunks = await sdk.completions.create(
                model=MODEL, prompt="x", max_tokens=3000, stop=["zy do", "never"], stream=True
            )
            return "".join([chunk.choices[0].text async for chunk in chunks])

    assert asyncio.run(ask()) == "the la"
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")
    assert rig.triton.sent < 100


def test_token_ids_are_a_prompt(rig: Rig, sdk: openai.OpenAI) -> None:
    sdk.completions.create(model=MODEL, prompt=[5, 6, 7])
    sdk.completions.create(model=MODEL, prompt=[[5, 6]])
    assert [request["input_ids"] for request in rig.triton.requests] == [[5, 6, 7], [5, 6]]


def test_sampling_reaches_the_engine_by_its_tensor_names(rig: Rig, sdk: openai.OpenAI) -> None:
    sdk.completions.create(
        model=MODEL,
        prompt="x",
        temperature=0.5,
        top_p=0.9,
        seed=-1,
        presence_penalty=0.25,
        frequency_penalty=0.75,
        extra_body={"top_k": 40, "repetition_penalty": 1.5, "min_tokens": 2, "ignore_eos": True},
    )
    sent = rig.triton.requests[0]
    names = ["temperature", "runtime_top_p", "runtime_top_k", "seed", "presence_penalty", "frequency_penalty"]
    assert [sent[name] for name in names] == [0.5, 0.9, 40, 2**63 - 1, 0.25, 0.75]
    assert [sent[name] for name in ("repetition_penalty", "min_length", "end_id")] == [1.5, 2, -1]


def test_temperature_zero_is_greedy(rig: Rig, sdk: openai.OpenAI) -> None:
    sdk.completions.create(model=MODEL, prompt="x", temperature=0)
    assert rig.triton.requests[0]["runtime_top_k"] == 1
    assert not {"temperature", "seed", "runtime_top_p"} & rig.triton.requests[0].keys()


def test_requests_without_a_seed_get_different_ones(rig: Rig, sdk: openai.OpenAI) -> None:
    for _ in range(2):
        sdk.completions.create(model=MODEL, prompt="x")
    assert rig.triton.requests[0]["seed"] != rig.triton.requests[1]["seed"]


def test_models_are_listed_and_found(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL]
    assert sdk.models.retrieve(MODEL).object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


def test_another_model_is_a_not_found_error(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.completions.create(model="gpt-9", prompt="x")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_prompt_too_long_names_both_numbers(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"64 tokens.*has 65 tokens") as caught:
        sdk.completions.create(model=MODEL, prompt=[7] * 65)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "prompt")


def test_a_template_that_refuses_is_a_bad_request(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="not this"):
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "refuse"}])


def test_an_engine_without_a_tensor_refuses_its_parameter_instead_of_ignoring_it(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with running(tmp_path) as rig, openai.OpenAI(base_url=f"{rig.url}/v1", api_key="x", max_retries=0) as sdk:
        rig.triton.inputs.remove("presence_penalty")
        sdk.completions.create(model=MODEL, prompt="x", presence_penalty=0)
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.completions.create(model=MODEL, prompt="x", presence_penalty=1)
    assert (caught.value.param, caught.value.code) == ("presence_penalty", "unsupported_parameter")


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (503, "Server is stopping", openai.InternalServerError),
        (400, "request needs 900 KV blocks, the engine has 128", openai.BadRequestError),
        (500, "assertion at 10.0.0.7", openai.InternalServerError),
    ],
)
def test_engine_errors_map_to_the_sdks_classes(
    rig: Rig, sdk: openai.OpenAI, status: int, said: str, expected: type[openai.APIStatusError]
) -> None:
    rig.triton.status, rig.triton.error = status, said
    with pytest.raises(expected) as caught:
        sdk.completions.create(model=MODEL, prompt="x")
    assert caught.value.status_code == status
    assert "10.0.0.7" not in str(caught.value)
    assert caught.value.response.headers.get("retry-after") == ("1" if status == 503 else None)


def test_an_error_inside_a_stream_is_raised_by_the_sdk(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.fail_after, rig.triton.pause = 2, 0.001
    stream = sdk.completions.create(model=MODEL, prompt="x", max_tokens=50, stream=True)
    assert next(stream).choices[0].text + next(stream).choices[0].text == "hello"
    with pytest.raises(openai.APIError, match="had an error") as caught:
        next(stream)
    assert "10.0.0.7" not in str(caught.value)


def test_an_error_before_the_first_token_of_a_stream_has_its_own_status(rig: Rig, sdk: openai.OpenAI) -> None:
    rig.triton.fail_after = 0
    with pytest.raises(openai.InternalServerError):
        sdk.completions.create(model=MODEL, prompt="x", stream=True)


def test_the_reply_names_the_pod_and_the_request(sdk: openai.OpenAI) -> None:
    raw = sdk.completions.with_raw_response.create(model=MODEL, prompt="x", extra_headers={"x-request-id": "abc-123"})
    assert (raw.headers["x-served-by"], raw.headers["x-request-id"]) == ("pod-7", "abc-123")
