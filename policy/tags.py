"""Everything says whose it is: who pays for it, and what made it."""

import json
from collections.abc import Iterator
from typing import Any

from components.labels import PART_OF
from policy.resource import UNKNOWN, Resource, at
from policy.rule import Limits

# Resource types that cost money or hold data, and where their tags stand.
AWS_TAGGED = {
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/eip:Eip",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:efs/fileSystem:FileSystem",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:iam/role:Role",
    "aws:kms/key:Key",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
}
GCP_LABELLED = {
    "gcp:storage/bucket:Bucket": "labels",
    "gcp:filestore/instance:Instance": "labels",
    "gcp:container/cluster:Cluster": "resourceLabels",
    "gcp:container/nodePool:NodePool": "nodeConfig.resourceLabels",
}
REQUIRED = ("llmops-project", "llmops-stack")
KUBERNETES_LABELLED = {
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
}
PART = "app.kubernetes.io/part-of"


def required(resource: Resource, _limits: Limits) -> Iterator[str]:
    """Tags on what costs money in a cloud, labels on what runs in a cluster."""
    if resource.type in AWS_TAGGED:
        yield from _missing(resource, "tags", "defaultTags.tags")
    elif resource.type in GCP_LABELLED:
        yield from _missing(resource, GCP_LABELLED[resource.type], "defaultLabels")
    elif resource.type in KUBERNETES_LABELLED:
        labels = at(resource.props, "metadata.labels")
        part = labels.get(PART) if isinstance(labels, dict) else None  # a key with dots is no path
        if UNKNOWN not in (labels, part) and part != PART_OF:
            yield f"has no label {PART}: {PART_OF}; use components.labels.labels()"


def _decoded(value: Any) -> Any:
    """A provider's own settings reach the engine as JSON text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _missing(resource: Resource, path: str, defaults: str) -> Iterator[str]:
    head, _, rest = defaults.partition(".")
    inherited = _decoded(resource.provider.get(head))
    own, inherited = at(resource.props, path), at(inherited, rest) if rest else inherited
    if UNKNOWN in (own, inherited):
        return
    known = {**(inherited or {}), **(own or {})}
    missing = [name for name in REQUIRED if name not in known]
    if missing:
        yield f"has no {', '.join(missing)}; take its tags from components.naming"
