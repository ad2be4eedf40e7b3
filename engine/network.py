"""A Llama forward pass in JAX: what is trained, and what the serving engine is checked against."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from engine.llama import LlamaShape

Weights = dict[str, jax.Array]


def initial(shape: LlamaShape, seed: int) -> Weights:
    """Random float32 weights; residual projections start smaller, as GPT-2's do."""
    tensors = sorted(shape.tensor_shapes().items())
    keys = jax.random.split(jax.random.key(seed), len(tensors))
    weights: Weights = {}
    for key, (name, size) in zip(keys, tensors, strict=True):
        if len(size) == 1:
            weights[name] = jnp.ones(size)
            continue
        residual = "o_proj" in name or "down_proj" in name
        deviation = 0.02 / math.sqrt(2 * shape.num_hidden_layers) if residual else 0.02
        weights[name] = deviation * jax.random.normal(key, size)
    return weights


def logits(weights: Weights, shape: LlamaShape, ids: jax.Array) -> jax.Array:
    """Scores of the next token, [batch, tokens, vocabulary], for ids [batch, tokens]."""
    batch, length = ids.shape
    heads, groups, size = shape.num_attention_heads, shape.num_key_value_heads, shape.head_dim
    turn = _rotation(length, size, shape.rope_theta)
    past = jnp.tril(jnp.ones((length, length), bool))
    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(shape.num_hidden_layers):

        def project(y: jax.Array, name: str, layer: int = layer) -> jax.Array:
            return y @ weights[f"model.layers.{layer}.{name}.weight"].T

        def norm(y: jax.Array, name: str, layer: int = layer) -> jax.Array:
            return _norm(y, weights[f"model.layers.{layer}.{name}.weight"], shape.rms_norm_eps)

        y = norm(x, "input_layernorm")
        q = turn(project(y, "self_attn.q_proj").reshape(batch, length, heads, size))
        k = turn(project(y, "self_attn.k_proj").reshape(batch, length, groups, size))
        v = project(y, "self_attn.v_proj").reshape(batch, length, groups, size)
        q = q.reshape(batch, length, groups, heads // groups, size)
        scores = jnp.einsum("btkgd,bskd->bkgts", q, k) / math.sqrt(size)
        attention = jax.nn.softmax(jnp.where(past, scores, -1e30), -1)
        mixed = jnp.einsum("bkgts,bskd->btkgd", attention, v).reshape(batch, length, heads * size)
        x = x + project(mixed, "self_attn.o_proj")
        y = norm(x, "post_attention_layernorm")
        x = x + project(jax.nn.silu(project(y, "mlp.gate_proj")) * project(y, "mlp.up_proj"), "mlp.down_proj")
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return _norm(x, weights["model.norm.weight"], shape.rms_norm_eps) @ head.T


def greedy(weights: Weights, shape: LlamaShape, prompt: list[int], count: int) -> list[int]:
    """The most likely continuation of `prompt`, `count` tokens; recomputes everything at each step."""
    total = len(prompt) + count
    step: Callable[[Any, Any], Any] = jax.jit(lambda ids, at: logits(weights, shape, ids)[0, at - 1].argmax())
    ids = jnp.zeros((1, total), jnp.int32).at[0, : len(prompt)].set(jnp.array(prompt))
    for at in range(len(prompt), total):
        ids = ids.at[0, at].set(step(ids, at))
    return [int(one) for one in ids[0, len(prompt) :]]


def _norm(x: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + epsilon) * weight


def _rotation(length: int, size: int, theta: float) -> Callable[[jax.Array], jax.Array]:
    """Rotary position embedding in Hugging Face's layout: the halves of a head turn against each other."""
    angle = jnp.arange(length)[:, None] * theta ** (-jnp.arange(0, size, 2) / size)
    cos, sin = jnp.cos(angle)[None, :, None], jnp.sin(angle)[None, :, None]

    def turn(x: jax.Array) -> jax.Array:
        first, second = x[..., : size // 2], x[..., size // 2 :]
        return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    return turn
