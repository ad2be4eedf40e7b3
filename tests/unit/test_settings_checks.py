"""What one setting asks of another: models and pools, stores, the front door."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.machines import AWS, DGX, GCP
from stacks.settings import SettingsError, parse
from tests.unit.cluster_settings import LLAMA_405B, POOLS, model, spanning, stack


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(values)
    return str(caught.value)


def eks(**group: Any) -> dict[str, Any]:
    return {**POOLS["eks"], "nodeGroups": [{**POOLS["eks"]["nodeGroups"][0], **group}]}


@pytest.mark.parametrize(
    "values", [stack("eks"), stack("gke"), stack("dgx"), spanning()], ids=lambda v: v["targets"][0]
)
def test_a_small_stack_of_each_target_is_valid(values: dict[str, Any]) -> None:
    assert parse(values).models[0].pool == "gpu"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            stack("eks", models=[model(mode="cpu")]),
            "llmops:models[0].mode: 'cpu' is for the local stack, and targets names 'eks'; use 'engine' or 'llmapi'",
        ),
        (
            stack("eks", models=[model(shape=None)]),
            "llmops:models[0].shape: is missing; mode 'engine' needs it",
        ),
        (
            stack("eks", models=[model(pool=None)]),
            "llmops:models[0].pool: is missing; mode 'engine' needs it",
        ),
        (
            stack("eks", models=[model(pool="big")]),
            "llmops:models[0].pool: target 'eks' has no GPU pool 'big' that is known; it has gpu",
        ),
        (
            stack("eks", versions={"tensorrtLlm": "1.3.0"}),
            "llmops:models[0].mode: 'engine' needs TensorRT-LLM 1.2 or older, and versions.tensorrtLlm is 1.3.0, which "
            "neither builds nor runs engines any more; use 'llmapi', or leave versions.tritonImage and "
            "versions.tensorrtLlm as they are",
        ),
        (
            stack("eks", models=[model(precision="nvfp4")]),
            "llmops:models[0].precision: 'nvfp4' needs a GPU that computes it (Blackwell); "
            "pool 'gpu' has l4 (g6.xlarge)",
        ),
        (
            stack("eks", eks=eks(instanceType="g5.xlarge"), models=[model(precision="fp8")]),
            "llmops:models[0].precision: 'fp8' needs a GPU that computes it (Ada, Hopper or Blackwell); "
            "pool 'gpu' has a10g (g5.xlarge)",
        ),
        (
            stack("eks", models=[model(parallelism={"tensor": 3})], eks=eks(instanceType="g6.12xlarge")),
            "llmops:models[0].parallelism.tensor: 3 GPUs cannot share 8 KV heads evenly; "
            "take a number that divides shape.kvHeads, or a multiple of it",
        ),
        (
            stack("dgx", models=[model(shape=LLAMA_405B, parallelism={"tensor": 8}, replicas=1)]),
            "llmops:models[0].parallelism: 'llama' takes 756.0 GiB of weights and 7.9 GiB of KV cache, 95.5 GiB on "
            "each of 8 GPUs, and a GPU of pool 'gpu' (h100-80gb) has 70.2 GiB for them; raise tensor or pipeline, or "
            "lower precision, maxBatchSize, maxInputTokens or maxOutputTokens",
        ),
        (
            stack("eks", models=[model(replicas=5)]),
            "llmops:eks.nodeGroups[0].max: 4 g6.xlarge with 1 GPU each cannot hold the models of this pool "
            "(llama: 5 × 1 GPU), which take 5 nodes; raise it, or lower their replicas",
        ),
        (
            stack("eks", models=[model(parallelism={"pipeline": 2})]),
            "llmops:models[0].pool: 'llama' spans 2 nodes, for which g6.xlarge has no Elastic Fabric Adapter",
        ),
        (
            stack("gke", models=[model(parallelism={"pipeline": 2})]),
            "llmops:models[0].pool: 'llama' spans 2 nodes, for which gke.nodePools[0].zones must name one zone",
        ),
        (
            spanning(parallelism={"tensor": 4, "pipeline": 3}),
            "llmops:models[0].parallelism: 12 GPUs fill no whole number of p5.48xlarge, which have 8 each; "
            "take a multiple of 8, or at most 8",
        ),
        (
            stack("eks", eks=eks(instanceType="m7i.large")),
            "llmops:eks.nodeGroups[0].instanceType: 'm7i.large' has no GPU; take one of",
        ),
        (
            stack("gke", storage={"kind": "s3"}),
            "llmops:storage.kind: 's3' is not there for target 'gke'; use 'gcs' or 'filestore', or leave it out",
        ),
        (
            stack("eks", gateway={"tls": {"kind": "given"}}),
            "llmops:gateway.hostname: is missing; a certificate (gateway.tls.kind 'given') is for a name",
        ),
        (
            stack("eks", gateway={"hostname": "llm.example.com", "tls": {"kind": "acme"}}),
            "llmops:gateway.tls.email: is missing; the authority writes there before a certificate ends",
        ),
        (
            stack(
                "eks",
                gateway={"hostname": "llm.example.com", "internal": True, "tls": {"kind": "acme", "email": "a@b.c"}},
            ),
            "llmops:gateway.internal: keeps the authority out, which must reach port 80 for gateway.tls.kind 'acme'; "
            "use 'given' or 'cloud', or open the door",
        ),
        (
            stack("gke", gateway={"hostname": "llm.example.com", "tls": {"kind": "cloud", "certificate": "c"}}),
            "llmops:gateway.tls.kind: 'cloud' ends TLS at AWS' load balancer or OpenShift's router, which are not "
            "here; use 'acme' or 'given'",
        ),
        (
            stack("eks", gateway={"hostname": "llm.example.com", "tls": {"kind": "cloud"}}),
            "llmops:gateway.tls.certificate: is missing; set it to the certificate's ARN in AWS Certificate Manager",
        ),
        (
            stack("dgx", gateway={"hostname": "llm.example.com", "dnsZone": "Z1"}),
            "llmops:gateway.dnsZone: the target 'dgx' has no cloud that keeps it; make the record yourself",
        ),
        (
            stack("eks", gateway={"hostname": "not a name"}),
            "llmops:gateway.hostname: 'not a name' is not a host name; write it as llm.example.com",
        ),
        (
            stack(
                "eks",
                gateway={"jwt": {"issuer": "https://i", "jwksUri": "http://keys.example.com/", "audiences": ["a"]}},
            ),
            "llmops:gateway.jwt.jwksUri: 'http://keys.example.com/' is not https://, which keys from outside the "
            "cluster must come over",
        ),
        (
            stack("dgx", keys={"source": "secret-manager", "secret": "keys"}),
            "llmops:keys.source: target 'dgx' has no secret manager; use 'stack'",
        ),
        (
            stack("eks", targets=["eks", "gke"], gke=POOLS["gke"]),
            "llmops:targets: eks and gke are a cluster each, and a stack has one; give each its own stack",
        ),
    ],
)
def test_a_contradiction_is_one_sentence_that_names_its_key(values: dict[str, Any], sentence: str) -> None:
    assert any(line.startswith(sentence) for line in refusal(values).splitlines()), refusal(values)


# Near-valid stacks: each part is right nearly always, so that most refusals are about how parts fit each other.
def _mostly(right: st.SearchStrategy[Any], *wrong: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda n: st.sampled_from(wrong) if n == 0 else right)


POWERS = st.sampled_from([1, 2, 4, 8, 16])
MODELS = st.fixed_dictionaries(
    {
        "name": _mostly(st.sampled_from(["llama", "mixtral"]), "", "Not A Name", 3),
        "mode": st.sampled_from(["engine", "llmapi", "cpu"]),
        "shape": _mostly(
            st.fixed_dictionaries(
                {
                    "parametersBillion": st.floats(0.1, 700),
                    "layers": st.integers(1, 130),
                    "kvHeads": st.sampled_from([1, 2, 4, 8, 10]),
                    "headSize": st.sampled_from([64, 128]),
                }
            ),
            None,
            {},
            {"parametersBillion": -1, "layers": 1, "kvHeads": 1, "headSize": 1},
        ),
    },
    optional={
        "pool": _mostly(st.sampled_from(["gpu", "big"]), None, "nowhere"),
        "replicas": _mostly(st.integers(1, 8), 0, "many"),
        "parallelism": st.fixed_dictionaries({"tensor": POWERS, "pipeline": st.sampled_from([1, 2, 3])}),
        "precision": st.sampled_from(["fp16", "bf16", "fp8", "int4-awq", "nvfp4"]),
        "maxBatchSize": st.integers(1, 512),
        "maxOutputTokens": _mostly(st.integers(1, 4096), -1),
        "copyGib": st.integers(1, 2000),
    },
)
GATEWAYS = st.fixed_dictionaries(
    {},
    optional={
        "hostname": _mostly(st.just("llm.example.com"), None, "no name"),
        "internal": st.booleans(),
        "allowedSources": _mostly(st.just(["203.0.113.0/24"]), ["203.0.113.7/24"], "all"),
        "dnsZone": st.sampled_from([None, "Z123"]),
        "tls": st.fixed_dictionaries(
            {"kind": _mostly(st.sampled_from(["none", "acme", "given", "cloud"]), "self-signed")},
            optional={"email": st.just("a@b.c"), "certificate": st.just("arn:aws:acm:eu-central-1:1:certificate/1")},
        ),
        "jwt": _mostly(
            st.just({"issuer": "https://i", "jwksUri": "https://i/keys", "audiences": ["llm"]}), {"issuer": 1}
        ),
    },
)


def _pools(machines: list[str], key: str) -> st.SearchStrategy[Any]:
    each = st.fixed_dictionaries(
        {
            "name": _mostly(st.sampled_from(["gpu", "big"]), "G P U"),
            key: _mostly(st.sampled_from(machines), "abacus", None),
        },
        optional={"max": st.integers(1, 16), "zones": st.sampled_from([[], ["a"], ["a", "b"]])},
    )
    return st.lists(each, min_size=1, max_size=2)


TARGETS = {
    "eks": st.fixed_dictionaries(
        {"region": st.just("eu-central-1"), "nodeGroups": _pools(sorted(AWS), "instanceType")}
    ),
    "gke": st.fixed_dictionaries(
        {
            "project": _mostly(st.just("my-project"), "P"),
            "region": st.just("europe-west4"),
            "nodePools": _pools(sorted(GCP), "machineType"),
        }
    ),
    "dgx": st.fixed_dictionaries(
        {
            "pools": st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.sampled_from(["gpu", "big"]),
                        "machine": _mostly(st.sampled_from(sorted(DGX)), "toaster"),
                        "nodes": _mostly(st.integers(1, 32), 0),
                    }
                ),
                min_size=1,
                max_size=2,
            )
        },
        optional={"distribution": st.sampled_from(["kubernetes", "openshift"])},
    ),
}
STACKS = st.sampled_from(sorted(TARGETS)).flatmap(
    lambda target: st.fixed_dictionaries(
        {
            "targets": _mostly(st.just([target]), ["eks", "gke"], []),
            "models": st.lists(MODELS, min_size=1, max_size=2),
            "tenants": st.just([{"name": "team"}]),
            target: TARGETS[target],
        },
        optional={
            "gateway": GATEWAYS,
            "storage": st.fixed_dictionaries(
                {"kind": st.sampled_from(["directory", "s3", "efs", "gcs", "filestore", "nfs", "gpfs"])}
            ),
            "versions": st.fixed_dictionaries({"tensorrtLlm": st.sampled_from(["1.2.1", "1.3.0", "one"])}),
            "keys": st.fixed_dictionaries({"source": st.sampled_from(["stack", "secret-manager"])}),
        },
    )
)
SEEN = {"taken": 0, "refused": 0}


@given(STACKS)
@settings(max_examples=2000, deadline=None)
def test_any_stack_of_a_cluster_is_taken_or_refused_in_sentences_that_name_their_keys(values: dict[str, Any]) -> None:
    try:
        parse(values)
        SEEN["taken"] += 1
    except SettingsError as error:
        SEEN["refused"] += 1
        top = {"targets", "models", "tenants", "gateway", "storage", "versions", "keys", "eks", "gke", "dgx"}
        for line in str(error).splitlines():
            key, found, rest = line.removeprefix("llmops:").partition(": ")
            assert found
            assert rest
            assert key.split("[")[0].split(".")[0] in top, line


def test_the_generated_stacks_are_near_enough_to_valid_ones() -> None:
    """Runs after the generation: refusing everything would prove little."""
    if SEEN["refused"]:
        assert SEEN["taken"] > 100, SEEN
