"""`train`: teach the tiny Llama the text in `corpus/` and write an ordinary Hugging Face checkpoint."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.llama import LlamaShape
from engine.log import Log
from engine.recipe import CORPUS, Recipe

if TYPE_CHECKING:
    import jax
    import numpy as np
    import numpy.typing as npt

    from engine.network import Weights

    Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came out of a training run; stored beside the weights as `training.json`."""

    key: str
    parameters: int
    steps: int
    training_tokens: int
    training_loss: float
    held_out_tokens: int
    perplexity: float
    bits_per_byte: float
    seconds: float


def key(recipe: Recipe | None = None, corpus: Path = CORPUS) -> str:
    """The key under which a trained checkpoint may be kept and used again."""
    return (recipe or Recipe()).key(corpus)


def train(out: Path, recipe: Recipe, log: Log, corpus: Path = CORPUS) -> Trained:
    """Train, evaluate on held-out text the float16 weights that are served, write the checkpoint to `out`.

    The checkpoint appears whole or not at all. Raises InputError when `corpus` is too short.
    """
    # JAX takes seconds to import, and no other step needs it.
    import numpy as np

    from engine import checkpoint, tokens

    text = corpus.read_text(encoding="utf-8")
    cut = int(len(text) * (1 - recipe.held_out))
    tokenizer = tokens.learn(text[:cut], recipe.vocabulary)
    learned, held_out = (np.array(tokens.encode(tokenizer, part), np.int32) for part in (text[:cut], text[cut:]))
    if len(held_out) <= recipe.window or len(learned) <= recipe.window * recipe.batch:
        raise InputError(f"{corpus} has only {len(learned) + len(held_out)} tokens; training needs a longer text.")
    shape = _shape(recipe, tokenizer.get_vocab_size())
    log.say("text read", tokens=len(learned), held_out=len(held_out), vocabulary=shape.vocab_size)

    weights, loss = _fit(shape, recipe, learned, log)
    served = {name: np.asarray(value).astype(np.float16) for name, value in weights.items()}
    rounded = {name: value.astype(np.float32) for name, value in served.items()}
    perplexity = _perplexity(rounded, shape, held_out, recipe.window)
    report = Trained(
        key=key(recipe, corpus),
        parameters=sum(value.size for value in served.values()),
        steps=recipe.steps,
        training_tokens=len(learned),
        training_loss=round(loss, 3),
        held_out_tokens=len(held_out),
        perplexity=round(perplexity, 2),
        bits_per_byte=round(math.log2(perplexity) * len(held_out) / len(text[cut:].encode()), 3),
        seconds=round(log.elapsed(), 1),
    )
    checkpoint.write(out, shape, served, tokenizer, {"recipe": asdict(recipe), **asdict(report)})
    log.say("checkpoint written", perplexity=report.perplexity, bits_per_byte=report.bits_per_byte, path=str(out))
    return report


def _shape(recipe: Recipe, vocabulary: int) -> LlamaShape:
    return LlamaShape(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_value_heads,
        head_dim=recipe.hidden // recipe.heads,
        max_position_embeddings=recipe.positions,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_ids=(1,),
    )


def _fit(shape: LlamaShape, recipe: Recipe, ids: "Ids", log: Log) -> "tuple[Weights, float]":
    """AdamW in float32 with warm-up and cosine decay to a tenth; returns the mean of the last losses too."""
    import jax
    import numpy as np
    import optax

    from engine import network

    weights = network.initial(shape, recipe.seed)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, recipe.learning_rate, recipe.warm_up, recipe.steps, recipe.learning_rate / 10
    )
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.95, weight_decay=0.1))

    @jax.jit
    def step(weights: "Weights", state: Any, batch: "jax.Array") -> "tuple[Weights, Any, jax.Array]":
        loss, gradient = jax.value_and_grad(_loss)(weights, shape, batch)
        updates, state = optimiser.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, loss  # pyright: ignore[reportReturnType]  # a PyTree alias

    state = optimiser.init(weights)  # pyright: ignore[reportArgumentType]  # a PyTree alias
    draw = np.random.default_rng(recipe.seed)
    window = np.arange(recipe.window + 1)
    losses: list[float] = []
    for done in range(1, recipe.steps + 1):
        starts = draw.integers(0, len(ids) - recipe.window - 1, recipe.batch)
        weights, state, loss = step(weights, state, ids[starts[:, None] + window])  # pyright: ignore[reportArgumentType]  # numpy is taken as is
        losses.append(float(loss))
        if done % 30 == 0 or done in (1, recipe.steps):
            log.progress(done, recipe.steps, "training step", loss=round(float(np.mean(losses[-30:])), 3))
    return weights, float(np.mean(losses[-50:]))


def _loss(weights: "Weights", shape: LlamaShape, ids: "jax.Array") -> "jax.Array":
    import optax

    from engine import network

    scores = network.logits(weights, shape, ids[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(scores, ids[:, 1:]).mean()


def _perplexity(weights: Any, shape: LlamaShape, ids: "Ids", window: int) -> float:
    """exp of the mean negative log likelihood over whole, non-overlapping windows."""
    import jax
    import numpy as np

    loss = jax.jit(lambda weights, batch: _loss(weights, shape, batch))
    starts = range(0, len(ids) - window, window)
    return math.exp(float(np.mean([float(loss(weights, ids[None, at : at + window + 1])) for at in starts])))
