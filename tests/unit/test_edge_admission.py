"""The edge's Lua script, run in LuaJIT as Envoy does, against a stand-in of Envoy's stream handle."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from components.front_door import SCRIPT

CONTEXT = {
    "tenants": {"team-a": {"small": True, "large": True}, "team-b": {"small": True}},
    "models": {"small": 100, "large": 1000},
    "order": "large,small",
    "default_max_tokens": 16,
    "bytes_per_token": 1,
}


@dataclass
class Seen:
    """What the script did with one request."""

    headers: dict[str, str]
    metadata: dict[str, float] = field(default_factory=dict[str, float])
    status: str | None = None
    answer: Any = None


class Edge:
    """The script with a handle that offers the calls it makes, and no other."""

    def __init__(self, context: dict[str, Any]) -> None:
        self.lua: Any = LuaRuntime()  # lupa's stubs know none of its methods
        self.context = self.lua.table_from(context, recursive=True)
        self.lua.execute(SCRIPT.read_text())

    def _handle(self, headers: dict[str, str], body: str, seen: Seen) -> Any:
        def set_metadata(_self: Any, _namespace: str, key: str, value: float) -> None:
            seen.metadata[key] = value

        def respond(_self: Any, answered: Any, text: str) -> None:
            seen.status, seen.answer = answered[":status"], json.loads(text)

        def set_bytes(_self: Any, text: str) -> None:
            seen.answer = json.loads(text)

        table = self.lua.table_from
        metadata = table({"set": set_metadata})
        info = table({"dynamicMetadata": lambda _self: metadata})
        buffer = table(
            {
                "length": lambda _self: len(body.encode()),
                "getBytes": lambda _self, _from, _count: body,
                "setBytes": set_bytes,
            }
        )
        access = table(
            {
                "get": lambda _self, name: headers.get(name),
                "replace": lambda _self, name, value: headers.__setitem__(name, value),
            }
        )
        context = table({"get": lambda _self, key: self.context[key]})
        return table(
            {
                "filterContext": lambda _self: context,
                "headers": lambda _self: access,
                "body": lambda _self, _always=None: buffer,
                "streamInfo": lambda _self: info,
                "respond": respond,
            }
        )

    def request(self, body: Any, tenant: str = "team-a", method: str = "POST", path: str = "/v1/completions") -> Seen:
        headers = {":method": method, ":path": path, "x-client-id": tenant}
        seen = Seen(headers)
        text = body if isinstance(body, str) else json.dumps(body)
        self.lua.globals().envoy_on_request(self._handle(headers, text, seen))
        return seen

    def response(self, headers: dict[str, str]) -> Seen:
        seen = Seen(headers)
        self.lua.globals().envoy_on_response(self._handle(headers, "", seen))
        return seen


@pytest.fixture(scope="module")
def edge() -> Edge:
    return Edge(CONTEXT)


def test_a_request_reserves_its_output_and_its_bytes(edge: Edge) -> None:
    body = json.dumps({"model": "small", "prompt": "hello", "max_tokens": 7})
    seen = edge.request(body)
    assert seen.status is None
    assert seen.metadata == {"reserved_tokens": 7 + len(body)}
    assert seen.headers["x-llmops-model"] == "small"
    assert seen.headers["x-llmops-max-tokens"] == "7"


def test_without_max_tokens_the_default_is_reserved(edge: Edge) -> None:
    assert edge.request({"model": "small", "prompt": "hello"}).headers["x-llmops-max-tokens"] == "16"


def test_max_completion_tokens_counts_before_max_tokens(edge: Edge) -> None:
    body = {"model": "small", "max_tokens": 5, "max_completion_tokens": 9}
    assert edge.request(body).headers["x-llmops-max-tokens"] == "9"


def test_a_reservation_never_passes_the_models_own_limit(edge: Edge) -> None:
    assert edge.request({"model": "small", "max_tokens": 10**6}).headers["x-llmops-max-tokens"] == "100"


def test_a_model_the_tenant_may_not_use_is_forbidden(edge: Edge) -> None:
    seen = edge.request({"model": "large", "prompt": "x"}, tenant="team-b")
    assert (seen.status, seen.answer["error"]["code"]) == ("403", "model_not_allowed")
    assert not seen.metadata


def test_an_unknown_model_is_not_found(edge: Edge) -> None:
    seen = edge.request({"model": "huge", "prompt": "x"})
    assert (seen.status, seen.answer["error"]["code"]) == ("404", "model_not_found")


@pytest.mark.parametrize("body", ["", "null", "[]", '"model"', "{", '{"model": 3}', '{"model": ""}', '{"prompt": "x"}'])
def test_a_body_that_names_no_model_is_refused(edge: Edge, body: str) -> None:
    assert edge.request(body).status == "400"


@pytest.mark.parametrize(
    "decoy",
    [
        {"prompt": 'say {"model": "large", "max_tokens": 1}'},
        {"prompt": 'a quote \\" then "model": "large"'},
        {"metadata": {"model": "large", "max_tokens": 1}},
        {"tools": [{"model": "large"}, {"max_tokens": 1}]},
        {"prompt": "a backslash \\"},
    ],
)
def test_only_the_bodys_own_members_count(edge: Edge, decoy: dict[str, Any]) -> None:
    seen = edge.request({**decoy, "model": "small", "max_tokens": 50}, tenant="team-b")
    assert seen.headers.get("x-llmops-model") == "small"
    assert seen.headers["x-llmops-max-tokens"] == "50"


def test_of_equal_keys_the_last_wins_as_in_a_json_parser(edge: Edge) -> None:
    body = '{"model":"large","max_tokens":1,"model":"small","max_tokens":60}'
    assert edge.request(body).headers["x-llmops-max-tokens"] == str(json.loads(body)["max_tokens"])


def test_an_escaped_key_buys_no_more_than_the_default(edge: Edge) -> None:
    body = '{"model":"small","max\\u005ftokens":90}'
    assert json.loads(body)["max_tokens"] == 90
    assert edge.request(body).headers["x-llmops-max-tokens"] == "16"


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_the_scanner_reads_any_json_object_as_a_json_parser_does(noise: dict[str, Any], ascii_only: bool) -> None:
    noise = {key: value for key, value in noise.items() if key not in ("max_tokens", "max_completion_tokens")}
    body = json.dumps({**noise, "model": "small", "max_tokens": 42}, ensure_ascii=ascii_only)
    seen = SHARED.request(body)
    assert seen.headers.get("x-llmops-max-tokens") == "42"


SHARED = Edge(CONTEXT)


def test_models_are_listed_for_the_tenant(edge: Edge) -> None:
    seen = edge.request("", tenant="team-b", method="GET", path="/v1/models")
    assert [model["id"] for model in seen.answer["data"]] == ["small"]


def test_a_model_of_another_tenant_is_not_shown(edge: Edge) -> None:
    assert edge.request("", tenant="team-b", method="GET", path="/v1/models/large").status == "404"
    assert edge.request("", tenant="team-a", method="GET", path="/v1/models/large").answer["id"] == "large"


def test_a_limited_request_is_told_when_to_come_back(edge: Edge) -> None:
    seen = edge.response({":status": "429", "x-ratelimit-reset": "23"})
    assert seen.headers["retry-after"] == "23"
    assert seen.answer["error"]["type"] == "rate_limit_error"


def test_the_pickers_refusal_gets_openais_format(edge: Edge) -> None:
    seen = edge.response({":status": "400", "content-type": "text/plain"})
    assert seen.answer["error"]["type"] == "invalid_request_error"


def test_the_frontends_own_errors_pass_untouched(edge: Edge) -> None:
    seen = edge.response({":status": "503", "content-type": "application/json; charset=utf-8"})
    assert seen.answer is None
