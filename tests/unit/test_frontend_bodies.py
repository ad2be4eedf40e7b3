"""Bodies: everything that is not understood is a 400 that names the field; nothing a client sends is a 5xx."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontend.body import allowed_max_tokens, read_request
from frontend.errors import ApiError
from frontend.fields import parse_object
from tests.unit.frontend_rig import MODEL, Rig, running, write_tokenizer

ENDPOINTS = ("/v1/completions", "/v1/chat/completions")
USER = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    with running(directory, max_body_bytes=20_000) as rig:
        yield rig


@pytest.fixture(scope="module")
def web(rig: Rig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.url, timeout=20) as client:
        yield client


def refused(web: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = web.post(path, json={"model": MODEL, **body})
    assert reply.status_code == 400, reply.text
    return reply.json()["error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("n", True),
        ("logit_bias", {"5": 10}),
        ("top_logprobs", 3),
        ("tools", [{"type": "function"}]),
        ("tool_choice", "required"),
        ("functions", [{}]),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {}}),
        ("modalities", ["text", "audio"]),
        ("audio", {}),
        ("reasoning_effort", "low"),
        ("verbosity", "low"),
        ("web_search_options", {}),
        ("logprobs", True),
    ],
)
def test_a_chat_field_that_would_change_the_output_is_refused(web: httpx.Client, field: str, value: object) -> None:
    error = refused(web, ENDPOINTS[1], {"messages": USER, field: value})
    assert (error["param"], error["code"], error["type"]) == (field, "unsupported_parameter", "invalid_request_error")


@pytest.mark.parametrize(
    ("field", "value"), [("best_of", 2), ("echo", True), ("logprobs", 0), ("logprobs", 5), ("suffix", "x"), ("n", 3)]
)
def test_a_completion_field_that_would_change_the_output_is_refused(
    web: httpx.Client, field: str, value: object
) -> None:
    error = refused(web, ENDPOINTS[0], {"prompt": "x", field: value})
    assert (error["param"], error["code"]) == (field, "unsupported_parameter")


def test_fields_that_ask_for_nothing_special_are_accepted(web: httpx.Client) -> None:
    body: dict[str, Any] = {"model": MODEL, "messages": USER, "user": "u", "metadata": {"a": "b"}, "store": False}
    body |= {
        "service_tier": "auto",
        "n": 1,
        "logprobs": False,
        "top_logprobs": None,
        "tools": [],
        "tool_choice": "none",
    }
    body |= {"response_format": {"type": "text"}, "logit_bias": {}, "parallel_tool_calls": True, "modalities": ["text"]}
    assert web.post(ENDPOINTS[1], json=body).status_code == 200
    body = {"model": MODEL, "prompt": ["x"], "best_of": 1, "echo": False, "logprobs": None, "suffix": "", "stop": None}
    assert web.post(ENDPOINTS[0], json=body).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "hot"),
        ("temperature", 2.1),
        ("temperature", -1),
        ("temperature", True),
        ("top_p", 1.5),
        ("top_k", 1.5),
        ("seed", 1e300),
        ("seed", "1"),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 4001),
        ("max_tokens", 10**30),
        ("max_tokens", 1.5),
        ("presence_penalty", 3),
        ("frequency_penalty", -3),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", ""),
        ("stop", [1]),
        ("stop", {"a": 1}),
        ("stream", "yes"),
        ("stream_options", {"include_usage": True}),
        ("prompt", None),
        ("prompt", ""),
        ("prompt", []),
        ("prompt", ["a", "b"]),
        ("prompt", [[1], [2]]),
        ("prompt", [1, "a"]),
        ("prompt", [True]),
        ("prompt", [-1]),
        ("prompt", [10**20]),
        ("prompt", [330]),
        ("prompt", [[[1]]]),
        ("prompt", {"a": 1}),
        ("prompt", 7),
        ("model", None),
        ("model", 7),
        ("max_completion_tokens", 5),
        ("made_up", 1),
    ],
)
def test_a_wrong_value_is_a_400_that_names_the_field(web: httpx.Client, field: str, value: object) -> None:
    assert refused(web, ENDPOINTS[0], {"prompt": "x", field: value})["param"] == field


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "hi",
        [7],
        [{}],
        [{"role": "tool", "content": "x"}],
        [{"role": ["user"], "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [{"role": "user", "content": [{"type": "text", "text": 1}]}],
        [{"role": "user", "content": ["x"]}],
        [{"role": "assistant", "content": "x", "tool_calls": [{}]}],
        [{"role": "user", "content": "x", "name": 5}],
    ],
)
def test_wrong_messages_are_a_400_that_names_the_place(web: httpx.Client, messages: object) -> None:
    assert refused(web, ENDPOINTS[1], {"messages": messages})["param"].startswith("messages")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b'{"temperature": NaN}',
        b'{"temperature": Infinity}',
        b'{"prompt": "\\ud800"}',
        b"[" * 10_000,
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b'{"model":"tiny","prompt":"x","temperature":1e999}',
        b'{"model":"tiny","prompt":"x","max_tokens":' + b"9" * 5_000 + b"}",
        b'{"model":"tiny","prompt":"x","seed":-' + b"9" * 400 + b"}",
    ],
)
@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_broken_body_is_a_400(web: httpx.Client, path: str, body: bytes) -> None:
    reply = web.post(path, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_that_is_not_json_by_name_is_a_415(web: httpx.Client) -> None:
    reply = web.post(ENDPOINTS[0], data={"model": MODEL})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_is_a_413(web: httpx.Client, chunked: bool) -> None:
    data = json.dumps({"model": MODEL, "prompt": "x" * 30_000}).encode()
    pieces = (data[at : at + 5_000] for at in range(0, len(data), 5_000))
    reply = web.post(ENDPOINTS[0], content=pieces if chunked else data, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")


def test_a_compressed_body_is_refused_before_it_is_unpacked(web: httpx.Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = web.post(ENDPOINTS[0], content=gzip.compress(b" " * 10_000_000), headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/completions", 405, "method_not_supported"),
        ("DELETE", "/v1/models/tiny", 405, "method_not_supported"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1/models/other", 404, "model_not_found"),
    ],
)
def test_wrong_urls_and_methods_are_refused_in_openais_form(
    web: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    reply = web.request(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_large_prompt_is_refused_with_its_exact_length(rig: Rig, web: httpx.Client) -> None:
    prompt = "the " * 4_900
    error = refused(web, ENDPOINTS[0], {"prompt": prompt})
    assert error["code"] == "context_length_exceeded"
    assert f"has {len(rig.triton.tokenizer.encode(prompt))} tokens" in error["message"]


class TestAllowedMaxTokens:
    """The trusted header says what was charged; nobody gets more."""

    @pytest.mark.parametrize(
        ("asked", "header", "expected"),
        [(None, None, 16), (None, "100", 16), (None, "8", 8), (50, None, 50), (50, "50", 50), (100, "100", 100)],
    )
    def test_what_is_allowed(self, asked: int | None, header: str | None, expected: int) -> None:
        assert allowed_max_tokens(asked, header, 100) == expected

    @pytest.mark.parametrize(
        ("asked", "header"), [(101, None), (51, "50"), (5, "x"), (5, "-1"), (5, "0"), (5, ""), (5, "９"), (5, "9" * 13)]
    )
    def test_what_is_refused(self, asked: int, header: str | None) -> None:
        with pytest.raises(ApiError) as caught:
            allowed_max_tokens(asked, header, 100)
        assert caught.value.status == 400


def test_more_than_was_charged_is_refused_over_http(web: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": "x", "max_tokens": 11}
    reply = web.post(ENDPOINTS[0], json=body, headers={"x-llmops-max-tokens": "10"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_NAMES = [
    "prompt",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "n",
    "user",
    "best_of",
    "echo",
    "logprobs",
    "suffix",
    "logit_bias",
    "tools",
    "tool_choice",
    "response_format",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "metadata",
    "modalities",
    "other",
]
_BODY = st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6)
_MESSAGE = st.fixed_dictionaries(
    {}, optional={"role": st.just("user") | _JSON, "content": st.text() | _JSON, "name": _JSON}
)


@settings(max_examples=1500, deadline=None)
@given(_BODY, st.booleans(), st.none() | st.lists(_MESSAGE, max_size=3))
def test_any_object_is_a_request_or_a_400(body: dict[str, Any], chat: bool, messages: object) -> None:
    if messages is not None:
        body["messages"] = messages
    try:
        request = read_request({"model": MODEL, **body}, chat=chat, model=MODEL)
    except ApiError as refusal:
        answer = refusal
    else:
        answer = None
        assert len(request.stops) <= 4
    assert answer is None or (answer.status == 400 and json.loads(answer.body())["error"]["message"])


@settings(max_examples=500)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_a_400(body: bytes) -> None:
    try:
        parse_object(body)
        status = 200
    except ApiError as refusal:
        status = refusal.status
    assert status in (200, 400)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_BODY, st.sampled_from(ENDPOINTS))
def test_any_object_over_http_is_answered_and_never_with_a_5xx(
    web: httpx.Client, body: dict[str, Any], path: str
) -> None:
    data = json.dumps({"prompt": "x", "messages": USER, **body, "model": MODEL})
    reply = web.post(path, content=data, headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400)
