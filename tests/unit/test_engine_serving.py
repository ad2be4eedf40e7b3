"""The pure parts of the CPU backend: what a request asks for, and when it may start."""

import importlib.util
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

HOME = Path(__file__).resolve().parents[2] / "engine" / "triton_cpu" / "tensorrt_llm" / "1"


def load(name: str) -> ModuleType:
    # "1" is Triton's version directory and no name for a Python package.
    spec = importlib.util.spec_from_file_location(name, HOME / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up; gauges imports admission
    spec.loader.exec_module(module)
    return module


admission, order, gauges = load("admission"), load("order"), load("gauges")


@dataclass
class Request:
    tokens: int
    ids: tuple[int, ...] = ()


def queue(slots: int = 2, blocks: int = 10) -> Any:
    return admission.Admission(slots=slots, blocks=blocks, tokens_per_block=32)


def test_no_more_requests_run_than_there_are_slots() -> None:
    line = queue(slots=2)
    for _ in range(3):
        line.put(Request(32))
    first = line.take()
    assert line.take()
    assert line.take() is None
    line.leave(first)
    assert line.take()
    assert not line.waiting


def test_blocks_for_the_whole_sequence_are_promised_before_it_starts() -> None:
    line = queue(slots=8, blocks=10)
    line.put(Request(32 * 6 + 1))  # 7 blocks
    line.put(Request(32 * 4))
    long = line.take()
    assert line.take() is None
    line.leave(long)
    assert line.take()


def test_a_small_request_does_not_overtake_a_large_one() -> None:
    line = queue(slots=8, blocks=10)
    for tokens in (32 * 6, 32 * 6, 32):
        line.put(Request(tokens))
    assert line.take()
    assert line.take() is None


def test_a_request_that_never_fits_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="needs 11 KV cache blocks, the engine has 10"):
        queue(blocks=10).put(Request(32 * 10 + 1))


def test_a_waiting_request_can_leave() -> None:
    line = queue(slots=1)
    line.put(Request(1))
    line.put(Request(2))
    inside = line.take()
    line.leave(line.waiting[0])
    line.leave(inside)
    assert line.idle


@given(st.lists(st.integers(1, 320), max_size=30), st.integers(1, 4))
def test_promised_blocks_and_slots_are_never_exceeded_and_everybody_gets_in(sizes: list[int], slots: int) -> None:
    line = queue(slots=slots, blocks=10)
    requests = [Request(size) for size in sizes]
    for request in requests:
        line.put(request)
    seen: list[Request] = []
    while not line.idle:
        while request := line.take():
            seen.append(request)
        assert len(line.admitted) <= slots
        assert sum(line.need(one.tokens) for one in line.admitted) <= 10
        line.leave(line.admitted[0])
    assert [id(one) for one in seen] == [id(one) for one in requests]


def read(**tensors: Any) -> Any:
    given = {"input_ids": [[5, 6, 7]], "request_output_len": [[4]], **tensors}
    arrays = {name: np.array(value) for name, value in given.items() if value is not None}
    return order.read_order(arrays.get, end_id=1, max_seq_len=64, vocabulary=100)


def test_defaults_are_greedy_with_the_models_end_token() -> None:
    found = read()
    assert found.prompt == (5, 6, 7)
    assert (found.max_new_tokens, found.end_id, found.tokens) == (4, 1, 7)
    assert not found.sampled
    assert not found.streaming


@pytest.mark.parametrize(
    ("tensors", "sampled"),
    [
        ({"temperature": [[0.8]]}, False),
        ({"temperature": [[0.8]], "runtime_top_p": [[1.0]]}, True),
        ({"runtime_top_k": [[5]]}, True),
        ({"runtime_top_p": [[0.9]], "runtime_top_k": [[1]]}, False),
        ({"temperature": [[0.0]], "runtime_top_p": [[0.9]]}, False),
    ],
)
def test_sampling_needs_top_p_or_top_k_as_in_tensorrt_llm(tensors: dict[str, Any], sampled: bool) -> None:
    assert read(**tensors).sampled is sampled


def test_stop_words_are_unpacked_and_matched_at_the_end_of_the_answer() -> None:
    found = read(stop_words_list=[[[8, 9, 4], [2, 3, -1]]])
    assert found.stop_words == ((8, 9), (4,))
    assert found.stopped([3, 8, 9])
    assert found.stopped([4])
    assert not found.stopped([8, 9, 3])
    assert not found.stopped([])


def test_no_stop_words_are_packed_as_minus_one() -> None:
    assert read(stop_words_list=[[[-1], [-1]]]).stop_words == ()


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"input_ids": None}, "input_ids must be the token ids of one prompt"),
        ({"input_ids": [[1], [2]]}, "input_ids must be the token ids of one prompt"),
        ({"input_ids": [[5, 100]]}, "input_ids must lie between 0 and 99"),
        ({"input_lengths": [[2]]}, "input_lengths is 2, but input_ids has 3 ids"),
        ({"request_output_len": [[0]]}, "request_output_len must be at least 1, not 0"),
        ({"request_output_len": [[62]]}, "3 prompt tokens and 62 new ones exceed the engine's max_seq_len of 64"),
        ({"temperature": [[-0.5]]}, "temperature must be at least 0"),
        ({"temperature": [[float("nan")]]}, "temperature must be at least 0"),
        ({"runtime_top_p": [[1.5]]}, "runtime_top_p must lie between 0 and 1"),
        ({"runtime_top_k": [[-1]]}, "runtime_top_k must be at least 0"),
        ({"stop_words_list": [[[8, 9], [3, -1]]]}, "stop_words_list must give the words' ends"),
        ({"seed": [[1, 2]]}, "seed must be one value a request, not 2"),
    ],
)
def test_what_cannot_be_generated_is_refused_in_one_sentence(tensors: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(**tensors)


def test_the_guardian_ends_the_server_when_the_engine_is_killed_and_only_then() -> None:
    code = (
        "import sys, guardian; g = guardian.Guardian(int(sys.argv[1])); print('on', flush=True); input(); g.dismiss()"
    )

    def engine(server: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(server)]
        started = subprocess.Popen(command, cwd=HOME, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert started.stdout
        assert started.stdout.readline() == "on\n"
        return started

    server = subprocess.Popen(["sleep", "60"])
    try:
        engine(server.pid).communicate("\n", timeout=10)
        assert server.poll() is None
        killed = engine(server.pid)
        killed.kill()
        killed.communicate()
        assert server.wait(10) == -signal.SIGTERM
    finally:
        server.kill()


class FakeBackend:
    """As much of triton_python_backend_utils as gauges need."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}
        backend = self

        class Metric:
            def __init__(self, labels: dict[str, str]) -> None:
                self.labels = tuple(labels.values())

            def set(self, value: float) -> None:
                backend.values[self.labels] = value

        class Family:
            GAUGE = "gauge"

            def __init__(self, name: str, description: str, kind: str) -> None:
                self.Metric = Metric

        self.MetricFamily = Family


def test_gauges_show_who_runs_who_waits_and_how_full_the_cache_is() -> None:
    backend = FakeBackend()
    line = queue(slots=2)
    for _ in range(3):
        line.put(Request(32))
    line.take()
    line.admitted[0].ids = (1,)
    line.take()
    gauges.Gauges(backend, "tensorrt_llm", "1", line).report(0.3)
    shown = {labels[2]: value for labels, value in backend.values.items()}
    assert shown | {"active": 2, "scheduled": 2, "context": 1, "waiting": 1} == shown
    assert shown | {"max": 10, "used": 3, "free": 7, "tokens_per": 32, "fraction": 0.3} == shown
