"""Starting a job over the pods of a group: only for who knows the group's key, and no longer than its caller lives."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import group_launcher

LAUNCHER = Path(group_launcher.__file__)
KEY = "the group's own"


def until(done: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.02)


def is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def worker(port: int) -> Iterator[subprocess.Popen[str]]:
    """A worker of its own, on a free port."""
    code = f"import sys; from components import group_launcher; sys.exit(group_launcher.work({port}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "GROUP_KEY": KEY, "GROUP_DRAIN": "60"}, text=True
    )
    until(lambda: is_open(port))
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_KEY", KEY)


@pytest.mark.usefixtures("key")
def test_a_worker_runs_one_command_and_ends_with_its_status(
    worker: subprocess.Popen[str], port: int, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    assert group_launcher.shell(["127.0.0.1", f"A=7 ; export A ; echo $A > {made} ;", "exit", "3"], port) == 3
    assert made.read_text() == "7\n"
    assert worker.wait(10) == 3


def test_without_the_key_nothing_runs(
    worker: subprocess.Popen[str], port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUP_KEY", "guessed")
    assert group_launcher.shell(["127.0.0.1", f"touch {tmp_path / 'made'}"], port) == 255
    assert not (tmp_path / "made").exists()
    assert worker.poll() is None
    monkeypatch.setenv("GROUP_KEY", KEY)  # and the worker still waits for who knows it
    assert group_launcher.shell(["127.0.0.1", "true"], port) == 0


def test_a_command_of_one_connection_proves_nothing_on_another(worker: subprocess.Popen[str], port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as two:
        nonces = [connection.makefile("r").readline() for connection in (one, two)]
    assert nonces[0] != nonces[1]
    assert worker.poll() is None


def test_a_caller_that_goes_away_takes_its_command_with_it(
    worker: subprocess.Popen[str], port: int, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    code = (
        "from components import group_launcher; "
        f"group_launcher.shell(['127.0.0.1', 'touch {started}; exec sleep 600'], {port})"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "GROUP_KEY": KEY})
    until(started.exists)
    caller.kill()
    caller.wait()
    assert worker.wait(20) != 0


def test_a_worker_without_a_command_leaves_at_once(worker: subprocess.Popen[str]) -> None:
    worker.terminate()
    assert worker.wait(5) == 0


def test_a_leader_names_itself_and_its_workers_to_mpirun(tmp_path: Path) -> None:
    """A stand-in for mpirun writes down what it is told; the real one is not part of this repository's tools."""
    told = tmp_path / "told"
    mpirun = tmp_path / "mpirun"
    mpirun.write_text(f'#!/bin/sh\necho "$@" > {told}\ncat "$3" >> {told}\n')
    mpirun.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GROUP_NODES": "1",
        "GROUP_SLOTS": "8",
        "GROUP_WAIT": "1",
        "GROUP_DRAIN": "30",
        "LWS_LEADER_ADDRESS": "llama-0.llama.llm",
    }
    done = subprocess.run([sys.executable, LAUNCHER, "lead", "-n", "8", "tritonserver"], env=env, check=False)
    assert done.returncode == 0
    words, hosts = told.read_text().splitlines()
    assert hosts == f"{socket.gethostname()} slots=8"
    assert words.endswith("-n 8 tritonserver")
    assert f"--mca plm_rsh_agent {sys.executable} {LAUNCHER} shell" in words


@pytest.mark.parametrize(("address", "name"), [("l-0.l.llm", "l-0-2.l.llm"), ("l-0", "l-0-2")])
def test_workers_are_named_as_leader_worker_set_names_them(
    address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LWS_LEADER_ADDRESS", address)
    assert group_launcher.worker_name(2) == name


def test_a_group_whose_worker_never_comes_gives_up(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "GROUP_NODES": "2",
        "GROUP_SLOTS": "8",
        "GROUP_WAIT": "1",
        "LWS_LEADER_ADDRESS": "nobody.invalid",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, LAUNCHER, "lead", "true"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "nobody-1.invalid does not answer" in done.stderr


def test_the_first_rank_finishes_before_the_others_end(tmp_path: Path) -> None:
    """Seen with Open MPI 4.1.4 over two nodes; here a stand-in for mpirun has the first rank as its child."""
    log = tmp_path / "log"
    mpirun = tmp_path / "mpirun"
    mpirun.write_text(
        f"""#!{sys.executable}
import os, signal, subprocess, sys, time
rank = "trap 'sleep 0.3; echo first rank ends >> {log}; exit 0' TERM; echo up >> {log}; while :; do sleep 0.05; done"
child = subprocess.Popen(["sh", "-c", rank], env={{**os.environ, "OMPI_COMM_WORLD_RANK": "0"}}, start_new_session=True)
def leave(*_):
    with open({str(log)!r}, "a") as file:
        file.write("mpirun ends\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
child.wait()
time.sleep(60)
"""
    )
    mpirun.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GROUP_NODES": "1",
        "GROUP_SLOTS": "1",
        "GROUP_WAIT": "1",
        "GROUP_DRAIN": "20",
        "LWS_LEADER_ADDRESS": "l-0.l.llm",
    }
    leader = subprocess.Popen([sys.executable, LAUNCHER, "lead", "x"], env=env)
    until(log.exists)
    leader.terminate()
    assert leader.wait(20) == 0
    assert log.read_text().splitlines() == ["up", "first rank ends", "mpirun ends"]
