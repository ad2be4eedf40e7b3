"""The CPU engine behind real Triton: what it generates, when it stops, and how it fails. No cluster needed."""

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jax.numpy as jnp
import pytest
from tokenizers import Tokenizer

from engine import checkpoint, network, train
from engine.log import Log
from engine.publish import Version, publish
from engine.recipe import Recipe
from engine.sizes import Sizes
from sandbox.paths import cache_root
from tests.live.triton_host import TritonHost, serve, until
from tests.unit import checkpoints

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

PROMPTS = ("The class statement", "Python", "An expression is", "if x:", "(", "The `for` loop\n\n", "é")
REQUESTS = "nv_trt_llm_request_metrics"
BLOCKS = "nv_trt_llm_kv_cache_block_metrics"


class Model:
    """A served version, beside the checkpoint it was built from."""

    def __init__(self, host: TritonHost, source: Path) -> None:
        self.host = host
        self.read = checkpoint.read(source)
        self.tokenizer = Tokenizer.from_file(str(self.read.tokenizer))

    def body(self, prompt: str, count: int, **rest: Any) -> dict[str, Any]:
        ids = self.tokenizer.encode(prompt).ids
        return {"input_ids": ids, "input_lengths": len(ids), "request_output_len": count, "streaming": True} | rest

    def events(self, prompt: str, count: int = 16, **rest: Any) -> list[dict[str, Any]]:
        url = f"{self.host.url}/v2/models/tensorrt_llm/generate_stream"
        answer = httpx.post(url, json=self.body(prompt, count, **rest), timeout=60)
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]

    def ids(self, prompt: str, count: int = 16, **rest: Any) -> list[int]:
        return [one for event in self.events(prompt, count, **rest) for one in as_list(event["output_ids"])]

    def reference(self, prompt: str, count: int) -> list[int]:
        weights = {name: jnp.array(values, jnp.float32) for name, values in self.read.tensors()}
        return network.greedy(weights, self.read.shape, self.tokenizer.encode(prompt).ids, count)

    def gauge(self, kind: str) -> float:
        return self.host.gauge(REQUESTS, request_type=kind)


def as_list(value: int | list[int]) -> list[int]:
    # Triton's JSON strips the brackets of a single value.
    return value if isinstance(value, list) else [value]


def published(store: Path, source: Path, sizes: Sizes | None = None) -> Path:
    version = store / "tiny" / "1"
    wanted = Version(model="tiny", version="1", checkpoint=source, sizes=sizes, root=str(version))
    publish(store, wanted, Log(step="publish"))
    return version


@pytest.fixture(scope="session")
def trained() -> Path:
    path = cache_root() / "models" / train.key()
    if not path.is_dir():
        train.train(path, Recipe(), Log(step="train"))
    return path


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Model]:
    with serve(published(tmp_path_factory.mktemp("store"), trained)) as host:
        yield Model(host, trained)


def test_greedy_text_is_the_checkpoints_own(model: Model) -> None:
    for prompt in PROMPTS:
        assert model.ids(prompt, 48, end_id=-1) == model.reference(prompt, 48), prompt


def test_sixteen_requests_at_once_answer_as_one_does(model: Model) -> None:
    alone = {prompt: model.ids(prompt, 32) for prompt in PROMPTS}
    with ThreadPoolExecutor(16) as pool:
        for prompt, ids in pool.map(lambda prompt: (prompt, model.ids(prompt, 32)), PROMPTS * 6):
            assert ids == alone[prompt]


def test_streamed_and_whole_answers_agree(model: Model) -> None:
    assert len(model.events("Python", 16, end_id=-1)) == 16
    (whole,) = model.events("Python", 16, end_id=-1, streaming=False)
    assert whole["output_ids"] == model.ids("Python", 16, end_id=-1)
    assert whole["sequence_length"] == 16


def test_a_seed_repeats_its_text_even_among_others(model: Model) -> None:
    def sample(seed: int) -> list[int]:
        return model.ids("Python", 32, temperature=1.0, runtime_top_p=1.0, seed=seed)

    first = sample(1)
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(sample, [1, 2, 3, 4] * 4))
    assert texts[::4] == [first] * 4
    assert len({tuple(text) for text in texts}) == 4


def test_temperature_and_top_p_shape_the_distribution(model: Model) -> None:
    weights = {name: jnp.array(values, jnp.float32) for name, values in model.read.tensors()}
    prompt = model.tokenizer.encode("The ").ids
    scores = network.logits(weights, model.read.shape, jnp.array([prompt]))[0, -1]

    def drawn(**options: Any) -> Counter[int]:
        with ThreadPoolExecutor(16) as pool:
            return Counter(pool.map(lambda seed: model.ids("The ", 1, seed=seed, **options)[0], range(300)))

    for temperature in (0.5, 1.0):
        chances = jnp.exp(scores / temperature) / jnp.exp(scores / temperature).sum()
        likely = int(chances.argmax())
        share = drawn(temperature=temperature, runtime_top_p=1.0)[likely] / 300
        # Four standard deviations of a share of 300 draws.
        assert share == pytest.approx(float(chances[likely]), abs=4 * 0.5 / 300**0.5)
    chances = jnp.sort(jnp.exp(scores) / jnp.exp(scores).sum())[::-1]
    nucleus = int((jnp.cumsum(chances) < 0.5).sum()) + 1
    assert len(drawn(temperature=1.0, runtime_top_p=0.5)) <= nucleus
    assert len(drawn(temperature=1.0, runtime_top_k=2)) == 2


def test_generation_ends_at_the_end_token_and_a_negative_one_never_ends_it(model: Model) -> None:
    free = model.ids("Python", 16, end_id=-1)
    stop = free[5]
    assert model.ids("Python", 16, end_id=stop) == free[: free.index(stop) + 1]
    assert len(free) == 16


def test_a_stop_word_ends_the_answer(model: Model) -> None:
    free = model.ids("Python", 16, end_id=-1)
    assert model.ids("Python", 16, end_id=-1, stop_words_list=[free[4], free[5], 2, -1]) == free[:6]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"request_output_len": 5000}, "exceed the engine's max_seq_len of 1024"),
        ({"request_output_len": 0}, "request_output_len must be at least 1"),
        ({"temperature": -1.0}, "temperature must be at least 0"),
        ({"input_ids": [5, 99999], "input_lengths": 2}, "input_ids must lie between 0 and 1023"),
    ],
)
def test_a_request_that_cannot_run_is_a_client_error_in_one_sentence(
    model: Model, changes: dict[str, Any], sentence: str
) -> None:
    url = f"{model.host.url}/v2/models/tensorrt_llm/generate"
    answer = httpx.post(url, json=model.body("Python", 4, streaming=False) | changes)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert model.ids("Python", 4)


def test_the_ensemble_takes_and_gives_text(model: Model) -> None:
    body: dict[str, Any] = {"text_input": "The class statement", "max_tokens": 16, "end_id": -1}
    url = f"{model.host.url}/v2/models/ensemble/generate"
    text = httpx.post(url, json=body, timeout=60).json()["text_output"]
    assert text == model.tokenizer.decode(model.reference("The class statement", 16))
    stop = text[5:12]
    cut = httpx.post(url, json=body | {"stop_words": ["nowhere", stop]}, timeout=60)
    assert cut.status_code == 200
    streamed = httpx.post(f"{url}_stream", json=body | {"stream": True}, timeout=60).text
    pieces = [json.loads(line[6:])["text_output"] for line in streamed.splitlines() if line.startswith("data: ")]
    assert len(pieces) == 16
    assert "".join(pieces) == text


def hang_up(model: Model, count: int) -> None:
    """Start `count` long answers and leave after the first token of each."""
    body = model.body("Python", 1000, end_id=-1)
    with httpx.Client(limits=httpx.Limits(max_connections=count)) as client:
        url = f"{model.host.url}/v2/models/tensorrt_llm/generate_stream"
        contexts = [client.stream("POST", url, json=body) for _ in range(count)]
        for context in contexts:
            next(context.__enter__().iter_lines())
        for context in contexts:
            context.__exit__(None, None, None)


def test_a_client_that_leaves_frees_its_slot_and_its_blocks(model: Model) -> None:
    before = time.monotonic()
    hang_up(model, 4)  # 4 x 1000 tokens fill the cache
    model.ids("Python", 900, end_id=-1)
    whole = time.monotonic()
    until(lambda: model.gauge("active") == 0, 2, "nothing is generated for clients that left")
    assert model.host.gauge(BLOCKS, kv_cache_block_type="used") == 0
    model.ids("Python", 900, end_id=-1)
    alone = time.monotonic() - whole
    # The answer did not wait for 4,000 tokens that nobody reads.
    assert whole - before < 2 * alone + 1


def test_the_gauges_follow_the_load(model: Model) -> None:
    assert model.gauge("max") == 8
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(model.ids, "Python", 300, end_id=-1) for _ in range(12)]
        until(lambda: model.gauge("active") == 8 and model.gauge("waiting") == 4, 20, "8 generate, 4 wait")
        until(lambda: model.host.gauge(BLOCKS, kv_cache_block_type="used") >= 8, 20, "each sequence holds a block")
        assert [len(answer.result()) for answer in answers] == [300] * 12
    until(lambda: model.gauge("active") == 0 and model.gauge("waiting") == 0, 5, "the gauges fall back")


def test_a_full_cache_makes_requests_wait_and_none_fails(model: Model) -> None:
    with ThreadPoolExecutor(8) as pool:
        # 8 x 1000 tokens are twice what the cache holds.
        answers = [pool.submit(model.ids, "Python", 990, end_id=-1) for _ in range(8)]
        until(lambda: model.gauge("waiting") > 0, 20, "some wait for blocks although slots are free")
        assert model.gauge("active") < 8
        assert [len(answer.result()) for answer in answers] == [990] * 8


def test_the_whole_server_stays_below_400_mib(model: Model) -> None:
    sizes = model.host.resident()
    assert sizes.keys() == {"tritonserver", "preprocessing", "tensorrt_llm", "postprocessing"}
    assert sum(pss for pss, _ in sizes.values()) < 400, sizes


def test_requests_in_flight_finish_when_the_server_is_asked_to_stop(trained: Path, tmp_path: Path) -> None:
    with serve(published(tmp_path, trained)) as host, ThreadPoolExecutor(12) as pool:
        model = Model(host, trained)
        answers = [pool.submit(model.ids, "Python", 300, end_id=-1) for _ in range(12)]
        until(lambda: model.gauge("active") == 8, 20, "the requests run")
        began = time.monotonic()
        host.stop(60)
        assert [len(answer.result()) for answer in answers] == [300] * 12
        assert time.monotonic() - began < 25  # drained, not run into the exit timeout


def test_an_engine_whose_process_dies_turns_the_server_unready(trained: Path, tmp_path: Path) -> None:
    with serve(published(tmp_path, trained)) as host:
        os.kill(host.stubs()["tensorrt_llm"], signal.SIGKILL)
        until(lambda: not host.ready(), 5, "Triton's readiness falls")
        host.process.wait(20)


def test_an_error_in_the_scheduler_ends_the_engines_process(trained: Path, tmp_path: Path) -> None:
    version = published(tmp_path, trained)
    code = version / "repository" / "tensorrt_llm" / "1" / "model.py"
    broken = code.read_text().replace("def _forward(self, job):", "def _forward(self, job):\n        1 / 0")
    assert broken != code.read_text()
    code.write_text(broken)
    # The request that hit the error hangs until the server's exit timeout.
    with serve(version, exit_timeout=5) as host:
        model = Model(host, trained)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(model.events, "Python", 4)
        until(lambda: not host.ready(), 5, "Triton's readiness falls")
        host.process.wait(20)
        assert "ZeroDivisionError" in host.log.read_text()


def test_a_checkpoint_of_another_make_is_served_as_it_is(tmp_path: Path) -> None:
    source = checkpoints.write_foreign(tmp_path / "checkpoint")
    with serve(published(tmp_path / "store", source)) as host:
        model = Model(host, source)
        for prompt in ("the quick", "dog", "fox jumps over"):
            assert model.ids(prompt, 32, end_id=-1) == model.reference(prompt, 32)


def test_a_version_is_served_from_a_read_only_store(trained: Path, tmp_path: Path) -> None:
    version = published(tmp_path, trained)
    shutil.rmtree(version / "repository" / "ensemble")
    for path in (*version.rglob("*"), version):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with serve(version) as host:
            assert Model(host, trained).ids("Python", 4)
    finally:
        for path in (version, *version.rglob("*")):
            path.chmod(0o755)
