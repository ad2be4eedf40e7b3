"""What one setting asks of another. Each check yields sentences that begin with the key to change."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stacks.fit import Fit, fit, nodes_needed
from stacks.pools import PoolFacts, machine_mistakes, pools_of
from stacks.schema.models import ServedModel

if TYPE_CHECKING:
    from stacks.settings import Settings

LAST_ENGINE_LINE = (1, 2)  # of TensorRT-LLM: docs/source/legacy/tensorrt-backend-removal.md of its repository
STORES = {"local": ("directory",), "eks": ("s3", "efs"), "gke": ("gcs", "filestore"), "dgx": ("nfs", "gpfs")}


def mistakes(settings: "Settings") -> list[str]:
    """Everything that the blocks of the schema cannot see by themselves."""
    checks = (_targets, machine_mistakes, _models, _pools, _storage, _gateway, _keys)
    return [sentence for check in checks for sentence in check(settings)]


def _targets(settings: "Settings") -> Iterator[str]:
    clusters = [target for target in settings.targets if target in STORES]
    if len(clusters) > 1:
        yield f"targets: {' and '.join(clusters)} are a cluster each, and a stack has one; give each its own stack"


def _models(settings: "Settings") -> Iterator[str]:
    for i, model in enumerate(settings.models):
        key = f"models[{i}]"
        if model.mode == "cpu":
            for target in settings.targets:
                if target != "local":
                    yield (
                        f"{key}.mode: 'cpu' is for the local stack, and targets names {target!r}; "
                        "use 'engine' or 'llmapi'"
                    )
            continue
        line = settings.versions.tensorrt_llm
        if model.mode == "engine" and _line(line) > LAST_ENGINE_LINE:
            yield (
                f"{key}.mode: 'engine' needs TensorRT-LLM 1.2 or older, and versions.tensorrtLlm is {line}, which "
                "neither builds nor runs engines any more; use 'llmapi', or leave versions.tritonImage and "
                "versions.tensorrtLlm as they are"
            )
        yield from (f"{key}.{field}: is missing; mode {model.mode!r} needs it" for field in _missing(model))
        if model.shape:
            yield from _shape(key, model)
        for target in settings.targets:
            pools = pools_of(settings, target)
            if model.pool is None:
                continue
            if model.pool not in pools:
                known = ", ".join(sorted(pools)) or "none"
                yield f"{key}.pool: target {target!r} has no GPU pool {model.pool!r} that is known; it has {known}"
            elif pools[model.pool].machine.gpu:
                yield from _on_pool(key, model, pools[model.pool])


def _missing(model: ServedModel) -> list[str]:
    return [field for field in ("pool", "shape") if getattr(model, field) is None]


def _shape(key: str, model: ServedModel) -> Iterator[str]:
    assert model.shape is not None
    tensor, heads = model.parallelism.tensor, model.shape.kv_heads
    if tensor % heads and heads % tensor:
        yield (
            f"{key}.parallelism.tensor: {tensor} GPUs cannot share {heads} KV heads evenly; "
            "take a number that divides shape.kvHeads, or a multiple of it"
        )
    if model.parallelism.pipeline > model.shape.layers:
        yield (
            f"{key}.parallelism.pipeline: {model.parallelism.pipeline} is more than the model's "
            f"{model.shape.layers} layers; lower it"
        )


def _on_pool(key: str, model: ServedModel, pool: PoolFacts) -> Iterator[str]:
    machine, gpu = pool.machine, pool.machine.gpu
    assert gpu is not None
    lacking = {"fp8": not gpu.fp8, "nvfp4": not gpu.fp4, "bf16": not gpu.bf16}
    if lacking.get(model.precision):
        has = {"fp8": "Ada, Hopper or Blackwell", "nvfp4": "Blackwell", "bf16": "Ampere or later"}[model.precision]
        yield (
            f"{key}.precision: {model.precision!r} needs a GPU that computes it ({has}); pool {pool.name!r} has "
            f"{gpu.name} ({machine.name})"
        )
    if model.shape is None:
        return
    found = fit(model, model.shape, machine)
    if not found.fits:
        yield (
            f"{key}.parallelism: {model.name!r} takes {found.weights_gib:.1f} GiB of weights and "
            f"{found.kv_cache_gib:.1f} GiB of KV cache, {found.needed_gib:.1f} GiB on each of {found.gpus} "
            f"GPU{'s' * (found.gpus > 1)}, and a GPU of pool {pool.name!r} ({gpu.name}) has "
            f"{found.usable_gib:.1f} GiB for them; raise tensor or pipeline, or lower "
            "precision, maxBatchSize, maxInputTokens or maxOutputTokens"
        )
    if found.nodes > 1:
        if found.gpus % machine.gpus:
            yield (
                f"{key}.parallelism: {found.gpus} GPUs fill no whole number of {machine.name}, which have "
                f"{machine.gpus} each; take a multiple of {machine.gpus}, or at most {machine.gpus}"
            )
        if pool.alone:
            yield f"{key}.pool: {model.name!r} spans {found.nodes} nodes, for which {pool.alone}"


def _pools(settings: "Settings") -> Iterator[str]:
    """Whether each pool has the nodes for all its models."""
    for target in settings.targets:
        for pool in pools_of(settings, target).values():
            if not pool.machine.gpu:
                continue
            wanted = replicas_on(settings, pool)
            needed = nodes_needed(pool.machine, [one for ones in wanted.values() for one in ones])
            if needed > pool.max_nodes:
                each = ", ".join(
                    f"{name}: {len(ones)} × {ones[0].gpus} GPU{'s' * (ones[0].gpus > 1)}"
                    for name, ones in wanted.items()
                )
                yield (
                    f"{pool.max_key}: {pool.max_nodes} {pool.machine.name} with {pool.machine.gpus} "
                    f"GPU{'s' * (pool.machine.gpus > 1)} each cannot hold the models of this pool ({each}), which "
                    f"take {needed} nodes; raise it, or lower their replicas"
                )


def replicas_on(settings: "Settings", pool: PoolFacts) -> dict[str, list[Fit]]:
    """The replicas of each model that names this pool."""
    return {
        model.name: [fit(model, model.shape, pool.machine)] * model.replicas
        for model in settings.models
        if model.mode != "cpu" and model.pool == pool.name and model.shape
    }


def _storage(settings: "Settings") -> Iterator[str]:
    kind = settings.storage.kind
    for target in settings.targets:
        if kind and kind not in STORES[target]:
            yield (
                f"storage.kind: {kind!r} is not there for target {target!r}; use "
                f"{' or '.join(repr(k) for k in STORES[target])}, or leave it out"
            )


def _gateway(settings: "Settings") -> Iterator[str]:
    gateway, tls = settings.gateway, settings.gateway.tls
    if not gateway.hostname:
        if tls.kind != "none":
            yield f"gateway.hostname: is missing; a certificate (gateway.tls.kind {tls.kind!r}) is for a name"
        if gateway.dns_zone:
            yield "gateway.hostname: is missing; gateway.dnsZone gets a record for it"
    if tls.kind == "acme":
        if not tls.email:
            yield "gateway.tls.email: is missing; the authority writes there before a certificate ends"
        closed = "gateway.internal" if gateway.internal else "gateway.allowedSources" if gateway.allowed_sources else ""
        if closed:
            yield (
                f"{closed}: keeps the authority out, which must reach port 80 for gateway.tls.kind 'acme'; "
                "use 'given' or 'cloud', or open the door"
            )
    if tls.kind == "cloud" and not (settings.dgx and settings.dgx.distribution == "openshift"):
        if "eks" not in settings.targets:
            yield (
                "gateway.tls.kind: 'cloud' ends TLS at AWS' load balancer or OpenShift's router, which are not here; "
                "use 'acme' or 'given'"
            )
        elif not tls.certificate:
            yield "gateway.tls.certificate: is missing; set it to the certificate's ARN in AWS Certificate Manager"
    if "local" in settings.targets:
        for key, is_set in (
            ("gateway.internal", gateway.internal),
            ("gateway.allowedSources", gateway.allowed_sources),
            ("gateway.dnsZone", gateway.dns_zone),
            ("gateway.tls.kind", tls.kind == "acme"),
        ):
            if is_set:
                yield f"{key}: the local stack has no public address; leave it out"
        if tls.kind != "none" and gateway.node_port == gateway.plain_node_port:
            yield f"gateway.plainNodePort: is gateway.nodePort too ({gateway.node_port}); take another"
    if gateway.dns_zone and "dgx" in settings.targets:
        yield "gateway.dnsZone: the target 'dgx' has no cloud that keeps it; make the record yourself"


def _keys(settings: "Settings") -> Iterator[str]:
    if settings.keys.source != "secret-manager":
        return
    if not settings.keys.secret:
        yield "keys.secret: is missing; keys.source is 'secret-manager', so name the secret"
    for target in settings.targets:
        if target not in ("eks", "gke"):
            yield f"keys.source: target {target!r} has no secret manager; use 'stack'"


def _line(version: str) -> tuple[int, ...]:
    """`1.2.1` → (1, 2); what is no version counts as older than any."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)
