"""What a tenant sees: completions, chat, streaming, the SDK, refusals."""

import json

import httpx
import openai
import pytest

from tests.live.platform import Platform
from tests.live.traffic import MODEL, Client

pytestmark = pytest.mark.live


def test_a_completion_comes_back_with_exact_usage(team_a: Client) -> None:
    answer = team_a.complete(max_tokens=12, temperature=0)
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"]
    assert body["usage"]["completion_tokens"] <= 12
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


def test_a_chat_completion_comes_back(team_a: Client) -> None:
    answer = team_a.post(
        "/v1/chat/completions",
        {"model": MODEL, "messages": [{"role": "user", "content": "What is a class?"}], "max_tokens": 8},
    )
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"


def _streamed(client: Client, tokens: int) -> list[str]:
    """The texts of a streamed completion's events."""
    body = {"model": MODEL, "prompt": "The", "max_tokens": tokens, "stream": True, "temperature": 0}
    with httpx.stream(
        "POST", f"{client.endpoint}/v1/completions", json=body, headers=client.headers(), timeout=60
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events[-1] == "[DONE]"
    return [json.loads(event)["choices"][0]["text"] for event in events[:-1]]


def test_streaming_sends_tokens_as_they_come(team_a: Client) -> None:
    """A busy machine may put several tokens into one event, a few times; something that buffers always does."""
    tokens = 32
    whole = team_a.complete("The", max_tokens=tokens, temperature=0).json()["choices"][0]["text"]
    most = 0
    for _ in range(10):
        texts = _streamed(team_a, tokens)
        assert "".join(texts) == whole
        most = max(most, len(texts))
        if most > tokens / 2:
            break
    assert most > tokens / 2


def test_the_openai_sdk_works_unchanged(platform: Platform) -> None:
    client = openai.OpenAI(base_url=f"{platform.endpoint}/v1", api_key=platform.keys["team-a"], max_retries=0)
    assert MODEL in [model.id for model in client.models.list()]
    answer = client.completions.create(model=MODEL, prompt="The", max_tokens=5, seed=1)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 5
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Hello"}],
        max_tokens=6,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 6


def test_the_same_seed_gives_the_same_text(team_a: Client) -> None:
    texts = {
        seed: {team_a.complete(max_tokens=24, temperature=1.0, seed=seed).json()["choices"][0]["text"] for _ in "ab"}
        for seed in (1, 2)
    }
    assert all(len(seen) == 1 for seen in texts.values())
    assert texts[1] != texts[2]


def test_a_stop_string_ends_the_text(team_a: Client) -> None:
    whole = team_a.complete(max_tokens=40, temperature=0).json()["choices"][0]["text"]
    stop = whole[10:14]
    answer = team_a.complete(max_tokens=40, temperature=0, stop=stop).json()["choices"][0]
    assert answer["text"] == whole[: whole.index(stop)]
    assert answer["finish_reason"] == "stop"


@pytest.mark.parametrize("key", [None, "wrong", "sk-"])
def test_without_a_valid_key_nobody_gets_in(platform: Platform, key: str | None) -> None:
    answer = Client(platform.endpoint, key).complete()
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_the_key_is_taken_from_either_header(platform: Platform) -> None:
    answer = httpx.get(f"{platform.endpoint}/v1/models", headers={"x-api-key": platform.keys["team-a"]})
    assert answer.status_code == 200


def test_a_tenant_gets_403_for_a_model_it_may_not_use(platform: Platform) -> None:
    answer = platform.client("team-b").post("/v1/completions", {"model": "second", "prompt": "x"})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "model_not_allowed"


def test_each_tenant_sees_its_own_models(platform: Platform) -> None:
    seen = {
        tenant: {m["id"] for m in httpx.get(f"{platform.endpoint}/v1/models", headers=client.headers()).json()["data"]}
        for tenant in ("team-a", "team-b")
        for client in [platform.client(tenant)]
    }
    assert seen == {"team-a": {MODEL, "second"}, "team-b": {MODEL}}


def test_a_second_model_answers_under_its_own_name(team_a: Client) -> None:
    answer = team_a.post("/v1/completions", {"model": "second", "prompt": "The", "max_tokens": 4})
    assert answer.status_code == 200
    assert answer.json()["model"] == "second"


def test_an_unknown_model_is_404(team_a: Client) -> None:
    assert team_a.post("/v1/completions", {"model": "nope", "prompt": "x"}).status_code == 404


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"model": "tiny-llama", "prompt": 3}'])
def test_a_malformed_body_is_400_in_openais_format(team_a: Client, content: bytes) -> None:
    answer = httpx.post(
        f"{team_a.endpoint}/v1/completions",
        content=content,
        headers=team_a.headers(**{"content-type": "application/json"}),
        timeout=30,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_body_over_the_limit_is_413(team_a: Client) -> None:
    answer = team_a.complete("x" * (2 << 20))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_a_prompt_over_the_context_is_400(team_a: Client) -> None:
    answer = team_a.complete("word " * 5000)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_all_three_replicas_serve(team_a: Client) -> None:
    seen = {team_a.complete(max_tokens=1).headers.get("x-served-by") for _ in range(60)}
    assert len(seen) == 3


def test_the_access_log_has_no_prompt_and_no_key(platform: Platform) -> None:
    marker = "a-prompt-that-must-not-be-logged"
    client = platform.client("team-a")
    assert client.complete(marker, max_tokens=1).status_code == 200
    log = platform.gateway_log(until=lambda text: '"model":"tiny-llama"' in text)
    assert marker not in log
    assert platform.keys["team-a"] not in log
