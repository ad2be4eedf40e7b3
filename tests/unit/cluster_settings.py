"""Settings of the targets that are clusters, as small as they can be, for tests to change."""

from typing import Any

LLAMA_8B = {"parametersBillion": 8.03, "layers": 32, "kvHeads": 8, "headSize": 128}
LLAMA_405B = {"parametersBillion": 405.9, "layers": 126, "kvHeads": 8, "headSize": 128}
POOLS: dict[str, dict[str, Any]] = {
    "eks": {"region": "eu-central-1", "nodeGroups": [{"name": "gpu", "instanceType": "g6.xlarge"}]},
    "gke": {
        "project": "my-project",
        "region": "europe-west4",
        "nodePools": [{"name": "gpu", "machineType": "g2-standard-8"}],
    },
    "dgx": {"pools": [{"name": "gpu", "machine": "dgx-h100", "nodes": 2}]},
}


def model(**changes: Any) -> dict[str, Any]:
    """A model that fits the pool `gpu` of each of the targets."""
    return {"name": "llama", "mode": "engine", "pool": "gpu", "shape": LLAMA_8B, "replicas": 2, **changes}


def stack(target: str, **changes: Any) -> dict[str, Any]:
    """A valid stack of one target, with changes."""
    storage = {"storage": {"nfs": {"server": "10.0.0.9", "path": "/models"}}} if target == "dgx" else {}
    return {
        **storage,
        "targets": [target],
        "models": [model()],
        "tenants": [{"name": "team"}],
        target: POOLS[target],
        **changes,
    }


def spanning(**changes: Any) -> dict[str, Any]:
    """An EKS stack with a model on two nodes of eight H100."""
    group = {
        "name": "gpu",
        "instanceType": "p5.48xlarge",
        "max": 4,
        "efa": True,
        "zones": ["eu-central-1a"],
        "placementGroup": True,
    }
    return stack(
        "eks",
        models=[model(**{"shape": LLAMA_405B, "parallelism": {"tensor": 8, "pipeline": 2}, **changes})],
        eks={"region": "eu-central-1", "nodeGroups": [group]},
    )
