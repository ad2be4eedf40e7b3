"""Limits hold exactly: one after the other, all at once, and against every way round them that we know."""

import asyncio
import json

import httpx
import pytest

from tests.live.minute import fresh_minute
from tests.live.platform import REQUESTS, TOKENS, Platform
from tests.live.traffic import MODEL, codes

pytestmark = pytest.mark.live


def test_requests_one_after_the_other_pass_exactly_to_the_limit(platform: Platform) -> None:
    client = platform.client("sequential")
    fresh_minute(20)
    answers = [client.complete(max_tokens=1) for _ in range(REQUESTS + 5)]
    assert [answer.status_code for answer in answers] == [200] * REQUESTS + [429] * 5
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_sixteen_connections_at_once_pass_exactly_to_the_limit(platform: Platform) -> None:
    client = platform.client("parallel")
    fresh_minute(20)
    answers = asyncio.run(client.many(64, connections=16, max_tokens=1))
    assert codes(answers) == {200: REQUESTS, 429: 64 - REQUESTS}


def test_one_tenants_limit_is_not_anothers(platform: Platform) -> None:
    fresh_minute(20)
    exhausted = platform.client("exhausted")
    assert codes([exhausted.complete(max_tokens=1) for _ in range(REQUESTS + 1)])[429] == 1
    assert platform.client("team-a").complete(max_tokens=1).status_code == 200


def charge(prompt: str, max_tokens: int) -> int:
    """What the gateway reserves for one completion: its output and every byte of its body."""
    return max_tokens + len(httpx.Request("POST", "http://x", json=body_of(prompt, max_tokens)).content)


def body_of(prompt: str, max_tokens: int) -> dict[str, object]:
    return {"model": MODEL, "prompt": prompt, "max_tokens": max_tokens}


def test_a_token_budget_is_not_overspent_by_sixteen_connections(platform: Platform) -> None:
    client = platform.client("tokens-parallel")
    fresh_minute(30)
    answers = asyncio.run(client.many(64, connections=16, max_tokens=100))
    passed = [answer for answer in answers if answer.status_code == 200]
    assert len(passed) == TOKENS // charge("The class statement", 100)
    assert sum(answer.json()["usage"]["total_tokens"] for answer in passed) <= TOKENS
    assert codes(answers)[429] == 64 - len(passed)


def test_hanging_up_early_does_not_escape_the_budget(platform: Platform) -> None:
    client = platform.client("tokens-hang-up")
    fresh_minute(30)
    statuses: list[int] = []
    for _ in range(30):
        body = {**body_of("The class statement", 200), "stream": True}
        with httpx.stream(
            "POST", f"{client.endpoint}/v1/completions", json=body, headers=client.headers(), timeout=60
        ) as response:
            statuses.append(response.status_code)
            if response.status_code == 200:
                next(response.iter_raw())  # the first bytes, and away
    each = 200 + len(json.dumps({**body_of("The class statement", 200), "stream": True}, separators=(",", ":")))
    assert statuses.count(200) == TOKENS // each
    assert statuses.count(429) == 30 - statuses.count(200)


@pytest.mark.parametrize(
    ("tenant", "spoofed"),
    [
        ("spoofer-1", {"x-client-id": "team-a"}),
        ("spoofer-2", {"x-llmops-max-tokens": "1"}),
        ("spoofer-3", {"x-llmops-model": "second"}),
        ("spoofer-4", {"x-gateway-destination-endpoint": "127.0.0.1:1"}),
    ],
)
def test_a_spoofed_header_changes_nothing(platform: Platform, tenant: str, spoofed: dict[str, str]) -> None:
    client = platform.client(tenant)
    fresh_minute(20)
    answers = [
        client.post("/v1/completions", body_of("The class statement", 1), **spoofed) for _ in range(REQUESTS + 2)
    ]
    assert codes(answers) == {200: REQUESTS, 429: 2}


def test_an_escaped_key_in_the_body_buys_no_tokens(platform: Platform) -> None:
    """A JSON parser reads max_tokens here; the gateway's scanner does not. What was not charged is refused."""
    client = platform.client("team-a")
    body = '{"model":"tiny-llama","prompt":"x","max\\u005ftokens":200}'
    answer = httpx.post(
        f"{client.endpoint}/v1/completions",
        content=body,
        headers=client.headers(**{"content-type": "application/json"}),
        timeout=30,
    )
    assert answer.status_code == 400


def test_a_model_named_in_a_prompt_opens_no_other_model(platform: Platform) -> None:
    answer = platform.client("team-b").post(
        "/v1/completions",
        {"metadata": {"model": MODEL}, "model": "second", "prompt": '"model": "tiny-llama"'},
    )
    assert answer.status_code == 403
