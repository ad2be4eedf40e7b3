"""Copying one version from an object store into the pod that serves it, with rclone.

The copy is checked file by file against the version's manifest before Triton starts (`engine verify`), so rclone
itself need not be trusted with more than speed.
"""

import pulumi
from pulumi_kubernetes.core.v1 import ContainerArgsDict
from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
    NetworkPolicyPortArgsDict,
)

from components.model_store import MODEL_PATH, VOLUME, ModelStore
from components.pods import RESTRICTED_CONTAINER

LINK_LOCAL = "169.254.0.0/16"
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", LINK_LOCAL]
SCRATCH = "/tmp"
# Files in parallel, and parts of a file: one stream fills neither a node's network nor its disk. rclone holds every
# part that is under way in memory at most twice; 8 × 8 parts with 16 MiB buffers stay below a GiB.
FLAGS = [
    "--transfers=8",
    "--checkers=16",
    "--multi-thread-streams=8",
    "--multi-thread-cutoff=64M",
    "--multi-thread-chunk-size=64M",
    "--buffer-size=16M",
    "--retries=5",
    "--low-level-retries=20",
    "--contimeout=15s",
    "--config=",  # no configuration file: the remote says it all, the credentials are the pod's identity
    "--stats=15s",
    "--stats-one-line",
    "--stats-log-level=NOTICE",
    "--use-json-log",
]


def command(remote: pulumi.Input[str], model: str, version: str, target: str = MODEL_PATH) -> list[pulumi.Input[str]]:
    """rclone's arguments: exactly one version, nothing else of the store."""
    return ["copy", pulumi.Output.concat(remote, f"/{model}/{version}"), target, *FLAGS]


def copier(store: ModelStore, image: str, model: str, version: str) -> ContainerArgsDict:
    """The init container that makes the copy."""
    assert store.remote is not None
    return {
        "name": "sync",
        "image": image,
        "args": command(store.remote, model, version),
        "env": [{"name": name, "value": SCRATCH} for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")],
        "security_context": RESTRICTED_CONTAINER,
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "volume_mounts": [
            {"name": VOLUME, "mount_path": MODEL_PATH},
            {"name": "tmp", "mount_path": SCRATCH},
        ],
    }


def egress(store: ModelStore) -> list[NetworkPolicyEgressRuleArgsDict]:
    """What the copy must reach: names, the object store over TLS on public addresses, the identity's credentials."""
    if not store.synced:
        return []
    names: list[NetworkPolicyPortArgsDict] = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    dns: list[NetworkPolicyPeerArgsDict] = [
        {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": "kube-system"}}},
        {"ip_block": {"cidr": LINK_LOCAL}},  # a node's own DNS cache
    ]
    rules: list[NetworkPolicyEgressRuleArgsDict] = [
        {"to": dns, "ports": names},
        {"to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": PRIVATE}}], "ports": [{"port": 443}]},
    ]
    for network, port in store.credentials:
        rules.append({"to": [{"ip_block": {"cidr": network}}], "ports": [{"port": port}]})
    return rules
