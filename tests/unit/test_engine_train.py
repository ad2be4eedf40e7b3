"""Training in miniature, its key, and the command line."""

import io
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from engine import checkpoint, network, tokens
from engine.cli import main
from engine.errors import InputError
from engine.log import Log
from engine.recipe import CORPUS, Recipe
from engine.train import key, train
from tests.unit import checkpoints

SMALL = Recipe(vocabulary=280, hidden=32, layers=1, heads=2, key_value_heads=1, feed_forward=32, positions=64)
QUICK = Recipe(**{**SMALL.__dict__, "batch": 2, "window": 16, "steps": 12, "warm_up": 2})


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text(f"one two three four\n\n{tokens.TOPIC_BREAK}five six seven\n\n" * 300, encoding="utf-8")
    return path


def test_training_lowers_the_loss_and_writes_a_checkpoint_that_can_be_served(tmp_path: Path, text: Path) -> None:
    report = train(tmp_path / "c", QUICK, Log(step="train", stream=io.StringIO()), text)
    assert report.perplexity < 280  # a uniform guess
    assert checkpoint.read(tmp_path / "c").shape.num_key_value_heads == 1
    names = {one.name for one in (tmp_path / "c").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} < names
    assert {"generation_config.json", "special_tokens_map.json", "training.json"} < names


def test_the_same_recipe_gives_the_same_weights(tmp_path: Path, text: Path) -> None:
    for name in "ab":
        train(tmp_path / name, QUICK, Log(step="train", stream=io.StringIO()), text)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_a_text_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("short")
    with pytest.raises(InputError, match="training needs a longer text"):
        train(tmp_path / "c", QUICK, Log(step="train", stream=io.StringIO()), tmp_path / "text")
    assert not (tmp_path / "c").exists()


def test_the_key_changes_with_the_text_and_the_sizes(text: Path) -> None:
    keys = {key(), key(Recipe(steps=1)), key(corpus=text)}
    assert len(keys) == 3
    assert key() == key()


def test_the_shipped_corpus_is_small_and_carries_its_licence() -> None:
    assert CORPUS.stat().st_size < 500_000
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in (CORPUS.parent / "LICENSE").read_text()


def test_every_topic_ends_with_the_end_token() -> None:
    tokenizer = tokens.learn(checkpoints.TEXT, 300)
    ids = tokens.encode(tokenizer, f"the fox{tokens.TOPIC_BREAK}the dog")
    assert ids.count(tokenizer.encode(tokens.END).ids[0]) == 1
    assert tokenizer.decode(ids) == "the foxthe dog"


def test_later_tokens_do_not_change_earlier_scores() -> None:
    weights = {name: jnp.array(value, jnp.float32) for name, value in checkpoints.weights(checkpoints.SHAPE).items()}
    short = network.logits(weights, checkpoints.SHAPE, jnp.array([[5, 6, 7]]))
    long = network.logits(weights, checkpoints.SHAPE, jnp.array([[5, 6, 7, 8, 9]]))
    np.testing.assert_allclose(short[0], long[0, :3], atol=1e-4)


def test_logs_are_json_lines_when_nobody_watches() -> None:
    stream = io.StringIO()
    log = Log(step="train", stream=stream)
    log.progress(1, 4, "training step", loss=2.5)
    record = json.loads(stream.getvalue())
    assert record["message"] == "training step"
    assert (record["done"], record["total"], record["loss"]) == (1, 4, 2.5)


def test_a_wrong_checkpoint_is_one_sentence_and_exit_status_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["publish", "--store", str(tmp_path), "--model", "m", "--version", "1"]
    assert main([*command, "--checkpoint", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == f"publish: {tmp_path} is no Hugging Face checkpoint: it has no config.json.\n"
