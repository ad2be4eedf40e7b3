"""What one setting asks of another: models and pools, stores, the front door."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.checks import STORES
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
            stack("gke", gke={**POOLS["gke"], "nodePools": [{"name": "gpu", "machineType": "e2-standard-4"}]}),
            "llmops:gke.nodePools[0].machineType: 'e2-standard-4' has no GPU; take one of",
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


class Near:
    """Draws settings that are right nearly everywhere, so that most refusals are about how parts fit each other.

    It draws by its own seed: strategies built of a hundred small ones take a minute for what this does in seconds.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def mostly(self, right: Any, *wrong: Any) -> Any:
        return self.random.choice(wrong) if self.random.random() < 0.01 else right

    def some(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A part of the fields, as people leave out what they do not need."""
        return {key: value for key, value in fields.items() if self.random.random() < 0.3}

    def model(self, name: str) -> dict[str, Any]:
        choice, random = self.random.choice, self.random
        shape = {
            "parametersBillion": self.mostly(choice([1.2, 8.0, 32.5, 70.6, 405.9]), -1, "many"),
            "layers": self.mostly(choice([16, 32, 80, 126]), 0),
            "kvHeads": self.mostly(choice([2, 4, 8]), 10, 0),
            "headSize": choice([64, 128]),
        }
        return {
            "name": self.mostly(name, "", "Not A Name", 3),
            "mode": self.mostly(choice(["engine", "llmapi"]), "cpu", "torch"),
            "pool": self.mostly("gpu", "nowhere", None),
            "shape": self.mostly(shape, None, {}),
            **self.some(
                {
                    "replicas": self.mostly(random.randint(1, 4), 0, "many"),
                    "parallelism": {"tensor": choice([1, 2, 4, 8, 16]), "pipeline": choice([1, 1, 2, 3])},
                    "precision": choice(["fp16", "bf16", "fp8", "int4-awq", "nvfp4"]),
                    "maxBatchSize": random.randint(1, 256),
                    "maxOutputTokens": self.mostly(random.randint(1, 4096), -1),
                    "copyGib": self.mostly(random.randint(1, 2000), 0),
                }
            ),
        }

    def gateway(self) -> dict[str, Any]:
        choice = self.random.choice
        tls = {"kind": self.mostly(choice(["none", "acme", "given", "cloud"]), "self-signed")}
        tls |= self.some({"email": "a@b.c", "certificate": "arn:aws:acm:eu-central-1:1:certificate/1"})
        jwt = {"issuer": "https://i", "jwksUri": "https://i/keys", "audiences": ["llm"]}
        return {
            "hostname": self.mostly("llm.example.com", None, "no name"),
            **self.some(
                {
                    "internal": choice([True, False]),
                    "allowedSources": self.mostly(["203.0.113.0/24"], ["203.0.113.7/24"], "all"),
                    "dnsZone": "Z123",
                    "tls": tls,
                    "jwt": self.mostly(jwt, {"issuer": 1}),
                }
            ),
        }

    def pools(self, machines: list[str], key: str) -> list[dict[str, Any]]:
        pool = {"name": self.mostly("gpu", "G P U"), key: self.mostly(self.random.choice(machines), "abacus", None)}
        pool["nodes" if key == "machine" else "max"] = self.random.randint(1, 16)
        more = {"zones": self.mostly(["eu-central-1a"], [], ["a", "b"]), "efa": True}
        return [{**pool, **{name: more[name] for name in more if name in ALSO[key] and self.random.random() < 0.5}}]

    def storage(self, target: str) -> dict[str, Any]:
        kind = self.mostly(self.random.choice([None, *STORES[target]]), "directory", "floppy")
        block = {"server": "10.0.0.9", "path": "/models"} if target == "dgx" and kind in (None, "nfs") else None
        return {"kind": kind, **({"nfs": block} if block else {})}

    def stack(self) -> dict[str, Any]:
        target = self.random.choice(["eks", "gke", "dgx"])
        machines, key, pools = MACHINES[target]
        names = sorted(m.name for m in machines.values() if m.gpus or self.random.random() < 0.01)
        return {
            "targets": self.mostly([target], ["eks", "gke"], []),
            "models": [self.model(name) for name in ("llama", "qwen")[: self.random.randint(1, 2)]],
            "tenants": [{"name": "team"}],
            target: {**POOLS[target], pools: self.pools(names, key)},
            "storage": self.storage(target),
            **self.some(
                {
                    "gateway": self.gateway(),
                    "versions": {"tensorrtLlm": self.mostly("1.2.1", "1.3.0", "one")},
                    "keys": {"source": self.random.choice(["stack", "secret-manager"])},
                }
            ),
        }


ALSO = {"instanceType": ("zones", "efa"), "machineType": ("zones",), "machine": ()}
MACHINES = {
    "eks": (AWS, "instanceType", "nodeGroups"),
    "gke": (GCP, "machineType", "nodePools"),
    "dgx": (DGX, "machine", "pools"),
}


@given(st.integers(0, 2**63))
@settings(max_examples=2000, deadline=None)
def test_any_stack_of_a_cluster_is_taken_or_refused_in_sentences_that_name_their_keys(seed: int) -> None:
    values = Near(seed).stack()
    try:
        parse(values)
    except SettingsError as error:
        for line in str(error).splitlines():
            key, found, rest = line.removeprefix("llmops:").partition(": ")
            assert found
            assert rest
            assert key.split("[")[0].split(".")[0] in TOP, line


TOP = {"targets", "models", "tenants", "gateway", "storage", "versions", "keys", "eks", "gke", "dgx"}


def test_the_generated_stacks_are_near_enough_to_valid_ones() -> None:
    """Refusing everything would prove little."""
    taken = 0
    for seed in range(300):
        try:
            parse(Near(seed).stack())
            taken += 1
        except SettingsError:
            pass
    assert 40 < taken < 240
