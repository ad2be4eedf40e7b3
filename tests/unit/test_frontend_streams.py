"""Streams under stress: clients that leave or do not read, engines that break, connections that go stale."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.frontend_rig import MODEL, Rig, running, write_tokenizer

# Tokens: far more text than the kernel's socket buffers take from a server whose client does not read.
MOST = 100_000_000


@pytest.fixture(scope="module")
def module_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    with running(directory, write_timeout=0.5, token_timeout=1.0, max_output_tokens=MOST) as rig:
        yield rig


@pytest.fixture
def rig(module_rig: Rig) -> Rig:
    module_rig.triton.reset()
    return module_rig


def post(rig: Rig, **body: Any) -> httpx.Response:
    return httpx.post(f"{rig.url}/v1/completions", json={"model": MODEL, "prompt": "x", **body}, timeout=20)


def raw_request(rig: Rig, **body: Any) -> socket.socket:
    """A client that can misbehave: the request is sent, the reply is its own affair."""
    data = json.dumps({"model": MODEL, "prompt": "x", **body}).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    )
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", int(rig.url.rpartition(":")[2])))
    client.sendall(head.encode() + b"\r\n" + data)
    return client


def test_a_client_that_waits_to_be_invited_is_invited(rig: Rig) -> None:
    data = json.dumps({"model": MODEL, "prompt": "x", "max_tokens": 50}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Expect: 100-continue\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(rig.url.rpartition(":")[2])), timeout=20) as client:
        client.sendall(head.encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(data)
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"hello world" in reply


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_engine(rig: Rig, stream: bool) -> None:
    rig.triton.endless, rig.triton.pause = True, 0.01
    client = raw_request(rig, max_tokens=3000, stream=stream)
    rig.wait(lambda: rig.triton.sent > 3, "the first tokens")
    client.close()
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")
    assert rig.triton.sent < 3000
    assert rig.wait_for_status(499)["completion_tokens"] > 0


def test_only_short_whole_replies_come_in_one_piece(rig: Rig) -> None:
    assert [post(rig, max_tokens=tokens).status_code for tokens in (64, 65)] == [200, 200]
    assert [request["streaming"] for request in rig.triton.requests] == [False, True]


def test_a_client_that_leaves_before_the_first_token_stops_the_engine(rig: Rig) -> None:
    rig.triton.text = "x" * 50
    rig.triton.pause = 0.5
    client = raw_request(rig, max_tokens=50)
    rig.wait(lambda: rig.triton.running == 1, "the engine to start")
    client.close()
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")
    assert rig.triton.abandoned == 1


def test_a_client_that_does_not_read_is_dropped_and_not_buffered_for(rig: Rig) -> None:
    rig.triton.endless, rig.triton.burst = True, 10
    client = raw_request(rig, max_tokens=MOST, stream=True)
    try:
        rig.wait(lambda: rig.triton.sent > 100, "the stream to begin")
        rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")
    finally:
        client.close()
    assert rig.triton.abandoned == 1
    rig.wait_for_status(499)


def test_tokens_are_sent_as_they_come(rig: Rig) -> None:
    rig.triton.pause = 0.05
    body = {"model": MODEL, "prompt": "x", "max_tokens": 50, "stream": True}
    with httpx.stream("POST", f"{rig.url}/v1/completions", json=body, timeout=20) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        first = next(reply.iter_lines())
    assert json.loads(first.removeprefix("data: "))["choices"][0]["text"] == "he"
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")


def test_tokens_that_come_together_are_one_event(rig: Rig) -> None:
    rig.triton.endless, rig.triton.burst = True, 20
    reply = post(rig, max_tokens=40, stream=True)
    events = [line for line in reply.text.split("\n\n") if line]
    assert len(events) < 10
    assert events[-1] == "data: [DONE]"


def test_a_connection_broken_inside_a_stream_is_an_error_event_without_an_end_mark(rig: Rig) -> None:
    rig.triton.cut_after, rig.triton.pause = 2, 0.01
    reply = post(rig, max_tokens=50, stream=True)
    events = [line for line in reply.text.split("\n\n") if line]
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "model_not_ready"
    assert "[DONE]" not in reply.text
    rig.wait_for_status(503)


def test_a_connection_broken_inside_a_whole_reply_is_a_503(rig: Rig) -> None:
    rig.triton.cut_after = 0
    assert post(rig, max_tokens=50).status_code == 503


def test_a_silent_engine_is_a_504(rig: Rig) -> None:
    rig.triton.pause = 30
    reply = post(rig, max_tokens=50, stop=["never"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
    rig.wait(lambda: rig.triton.running == 0, "the engine to be stopped")


def test_connections_to_the_engine_are_kept(rig: Rig) -> None:
    with httpx.Client(base_url=rig.url) as client:
        for stream in (False, True, False):
            body = {"model": MODEL, "prompt": "x", "max_tokens": 50, "stream": stream}
            assert client.post("/v1/completions", json=body).status_code == 200
    assert len(rig.triton.peers) == 1


def test_a_stale_connection_to_the_engine_is_replaced_without_an_error(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with running(tmp_path) as rig:
        assert post(rig).status_code == 200
        rig.triton.drop_next = True
        assert post(rig).status_code == 200
    assert len(rig.triton.peers) == 2


def test_an_unreachable_engine_is_a_503_to_try_again(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with running(tmp_path, triton_port=unused.getsockname()[1]) as rig:
            reply = post(rig)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_beyond_the_inflight_limit_is_a_503_at_once(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)

    async def ask(rig: Rig) -> list[int]:
        async with httpx.AsyncClient(base_url=rig.url, timeout=20) as client:
            body = {"model": MODEL, "prompt": "x", "stop": ["never"]}
            replies = await asyncio.gather(*[client.post("/v1/completions", json=body) for _ in range(5)])
        return sorted(reply.status_code for reply in replies)

    with running(tmp_path, max_inflight=2) as rig:
        rig.triton.pause = 0.2
        assert asyncio.run(ask(rig)) == [200, 200, 503, 503, 503]
