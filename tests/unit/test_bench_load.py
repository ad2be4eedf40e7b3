"""The load generator and the readings of /proc, against servers on loopback."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import processes
from bench.errors import BenchError
from bench.load.connection import Target, post
from bench.load.generator import Generator


class Echo(BaseHTTPRequestHandler):
    """Answers with what was posted, or with the status that the path names."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:  # the base class looks for this name
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(self.path.strip("/") or 200))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ("127.0.0.1", server.server_address[1])
    server.shutdown()
    server.server_close()


def target(address: tuple[str, int], path: str = "/") -> Target:
    return Target(addresses=(address,), request=post(path, b'{"n": 1}', {"authorization": "Bearer x"}))


def test_a_single_request_brings_status_and_body(address: tuple[str, int]) -> None:
    with Generator({"echo": target(address)}) as load:
        assert load.one("echo") == (200, '{"n": 1}')


def test_open_load_sends_about_its_rate_and_measures_every_answer(address: tuple[str, int]) -> None:
    with Generator({"echo": target(address)}) as load:
        measured = load._block({"arm": "echo", "rate": 100, "seconds": 1.0, "seed": 1, "warm_up": 0.2})[0]  # pyright: ignore[reportPrivateUsage]  # lateness is not judged on a busy machine
    assert 50 < len(measured.milliseconds) < 160
    assert measured.statuses == {"200": len(measured.milliseconds)}
    assert all(value > 0 for value in measured.milliseconds)


def test_closed_load_reads_the_meter_over_what_it_measures(address: tuple[str, int]) -> None:
    with Generator({"echo": target(address)}) as load:
        meter = processes.meter({"server": [os.getpid()]})
        measured, used = load.closed_loop("echo", 2, 0.5, lambda: meter, warm_up=0.1)
    assert len(measured.milliseconds) > 20
    assert 0 < used["server"] < 30


def test_failed_requests_fail_the_figure(address: tuple[str, int]) -> None:
    with (
        Generator({"broken": target(address, "/503")}) as load,
        pytest.raises(BenchError, match=r"broken: .*'503'"),
    ):
        load.closed_loop("broken", 1, 0.2, warm_up=0.0)


def test_a_target_that_is_not_there_answers_zero() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with Generator({"gone": target(free.getsockname())}) as load:
            assert load.one("gone")[0] == 0


def test_a_tree_holds_the_children_and_their_memory() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        pids = processes.tree(child.pid)
        resident, proportional = processes.memory(pids)
        child.communicate(b"\n")
    assert len(pids) == 2
    assert resident > proportional > 1 << 20


def test_the_processor_time_of_work_is_counted() -> None:
    read = processes.meter({"me": [os.getpid()], "nobody": []})
    while read()["me"] < 0.05:
        json.dumps(list(range(1000)))
    assert read()["nobody"] == 0
