"""The policy pack: each rule with what it refuses and what it takes."""

import json
from typing import Any

import pytest

from policy import cost, prices
from policy.catalogue import RULES, STACK_RULES, violations
from policy.resource import UNKNOWN, Resource, plain
from policy.rule import Limits
from stacks.machines import AWS, GCP

NAMES = {rule.name: rule for rule in RULES}
ANYTHING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # a string that only the update will know


def resource(kind: str, **props: Any) -> Resource:
    return Resource(type=kind, props=props, name="one", urn=f"urn:pulumi:s::p::{kind}::one")


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "docker.io/library/redis:7.0.15",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {"limits": {"memory": "1Gi"}},
}
POD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}
LABELS = {"app.kubernetes.io/part-of": "llmops"}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
DIGEST = f"docker.io/library/redis@sha256:{'0' * 64}"


def workload(pod: dict[str, Any] | None = None, kind: str = "apps/v1:Deployment", **metadata: Any) -> Resource:
    return resource(
        f"kubernetes:{kind}",
        metadata={"namespace": "llm", "labels": LABELS, **metadata},
        spec={"replicas": 2, "template": {"spec": pod or POD}},
    )


def container(**changes: Any) -> Resource:
    return workload({**POD, "containers": [{**CONTAINER, **changes}]})


def secured(**changes: Any) -> Resource:
    return container(securityContext={**CONTAINER["securityContext"], **changes})


def gpu_pod(limits: dict[str, Any], *tolerations: dict[str, Any]) -> Resource:
    pod = {**POD, "containers": [{**CONTAINER, "resources": {"limits": limits}}], "tolerations": list(tolerations)}
    return workload(pod)


LAUNCH = {
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
}
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
EKS = "aws:eks/cluster:Cluster"
GKE = "gcp:container/cluster:Cluster"
PRIVATE = {"enablePrivateNodes": True, "enablePrivateEndpoint": True}
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BLOCKED = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
IAM = "aws:iam/rolePolicy:RolePolicy"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
TAGS = {"llmops-project": "llmops", "llmops-stack": "aws"}

# rule, what it refuses, a word of its sentence, what it takes
CASES: list[tuple[str, Resource, str, Resource]] = [
    (
        "no-public-buckets",
        resource(BLOCK, **{**BLOCKED, "blockPublicAcls": False}),
        "blockPublicAcls",
        resource(BLOCK, **BLOCKED),
    ),
    (
        "no-public-buckets",
        resource("aws:s3/bucket:Bucket", acl="public-read"),
        "acl is 'public-read'",
        resource("aws:s3/bucket:Bucket", acl="private"),
    ),
    (
        "no-public-buckets",
        resource("aws:s3/bucketPolicy:BucketPolicy", policy=policy(Principal="*", Action="s3:GetObject")),
        "allows everybody",
        resource(
            "aws:s3/bucketPolicy:BucketPolicy",
            policy=policy(Principal={"AWS": "arn:aws:iam::1:role/a"}, Action="s3:GetObject"),
        ),
    ),
    (
        "no-public-buckets",
        resource("gcp:storage/bucket:Bucket", uniformBucketLevelAccess=True),
        "publicAccessPrevention",
        resource("gcp:storage/bucket:Bucket", uniformBucketLevelAccess=True, publicAccessPrevention="enforced"),
    ),
    (
        "no-public-buckets",
        resource("gcp:storage/bucketIAMMember:BucketIAMMember", member="allUsers", role="roles/storage.objectViewer"),
        "allUsers",
        resource(
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            member="group:a@example.com",
            role="roles/storage.objectViewer",
        ),
    ),
    (
        "no-public-endpoints",
        resource(EKS, vpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}),
        "answers everybody",
        resource(EKS, vpcConfig={"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}),
    ),
    (
        "no-public-endpoints",
        resource(EKS, vpcConfig={"subnetIds": ["a"]}),  # AWS' own default is public
        "answers everybody",
        resource(EKS, vpcConfig={"endpointPublicAccess": False}),
    ),
    (
        "no-public-endpoints",
        resource(GKE, privateClusterConfig={"enablePrivateNodes": True}),
        "gke.authorizedNetworks",
        resource(GKE, privateClusterConfig=PRIVATE),
    ),
    (
        "no-public-endpoints",
        resource(
            GKE,
            privateClusterConfig=PRIVATE,
            masterAuthorizedNetworksConfig={"cidrBlocks": [{"cidrBlock": "0.0.0.0/0"}]},
        ),
        "gke.authorizedNetworks",
        resource(
            GKE,
            privateClusterConfig=PRIVATE,
            masterAuthorizedNetworksConfig={"cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}]},
        ),
    ),
    (
        "no-public-endpoints",
        resource(GROUP, ingress=[{"fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}]),
        "ports 22 to 22",
        resource(GROUP, ingress=[{"fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}]),
    ),
    (
        "no-public-endpoints",
        resource(
            "gcp:compute/firewall:Firewall", sourceRanges=["0.0.0.0/0"], allows=[{"protocol": "tcp", "ports": ["22"]}]
        ),
        "ports 22",
        resource(
            "gcp:compute/firewall:Firewall", sourceRanges=["10.0.0.0/8"], allows=[{"protocol": "tcp", "ports": ["22"]}]
        ),
    ),
    (
        "encrypted",
        resource(TEMPLATE, blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100}}]),
        "/dev/xvda is not encrypted",
        resource(TEMPLATE, **LAUNCH),
    ),
    (
        "encrypted",
        resource("aws:efs/fileSystem:FileSystem"),
        "not encrypted",
        resource("aws:efs/fileSystem:FileSystem", encrypted=True),
    ),
    (
        "encrypted",
        resource(EKS, vpcConfig={}),
        "encryptionConfig",
        resource(EKS, encryptionConfig={"provider": {"keyArn": "arn"}, "resources": ["secrets"]}),
    ),
    ("encrypted", resource("aws:kms/key:Key"), "never turns over", resource("aws:kms/key:Key", enableKeyRotation=True)),
    (
        "node-metadata",
        resource(TEMPLATE, metadataOptions={"httpTokens": "optional", "httpPutResponseHopLimit": 1}),
        "IMDSv1",
        resource(TEMPLATE, **LAUNCH),
    ),
    (
        "node-metadata",
        resource(TEMPLATE, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2}),
        "HopLimit",
        resource(TEMPLATE, **LAUNCH),
    ),
    ("node-metadata", resource(TEMPLATE), "IMDSv1", resource(TEMPLATE, **LAUNCH)),
    (
        "node-metadata",
        resource("gcp:container/nodePool:NodePool", nodeConfig={}),
        "GKE_METADATA",
        resource("gcp:container/nodePool:NodePool", nodeConfig={"workloadMetadataConfig": {"mode": "GKE_METADATA"}}),
    ),
    (
        "no-wildcards",
        resource(IAM, policy=policy(Action="s3:*", Resource="arn:aws:s3:::b/*")),
        "allows 's3:*'",
        resource(IAM, policy=policy(Action=["s3:GetObject"], Resource="arn:aws:s3:::b/*")),
    ),
    (
        "no-wildcards",
        resource(IAM, policy=policy(Action=["s3:PutObject", "s3:CreateBucket"], Resource="*")),
        "allows s3:CreateBucket, s3:PutObject on '*'",
        resource(IAM, policy=policy(Action=["ec2:DescribeInstances", "ecr:GetAuthorizationToken"], Resource="*")),
    ),
    (
        "no-wildcards",
        resource(IAM, policy=policy(Action="ec2:TerminateInstances", Resource="*")),
        "ec2:TerminateInstances",
        resource(
            IAM,
            policy=policy(
                Action="ec2:TerminateInstances", Resource="*", Condition={"StringEquals": {"aws:ResourceTag/a": "b"}}
            ),
        ),
    ),
    (
        "no-wildcards",
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment", policyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        "AdministratorAccess",
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        ),
    ),
    (
        "no-wildcards",
        resource("gcp:projects/iAMMember:IAMMember", role="roles/editor", member="serviceAccount:a"),
        "roles/editor",
        resource("gcp:projects/iAMMember:IAMMember", role="roles/artifactregistry.reader", member="serviceAccount:a"),
    ),
    (
        "no-wildcards",
        resource(
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", rules=[{"verbs": ["*"], "resources": ["pods"]}]
        ),
        "name verbs",
        resource(
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", rules=[{"verbs": ["get"], "resources": ["pods"]}]
        ),
    ),
    ("restricted-pods", workload({**POD, "hostNetwork": True}), "hostNetwork", workload()),
    (
        "restricted-pods",
        workload({**POD, "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
        "hostPath",
        workload(),
    ),
    ("restricted-pods", workload({**POD, "securityContext": {}}), "run as root", workload()),
    ("restricted-pods", secured(allowPrivilegeEscalation=True), "gain rights", workload()),
    ("restricted-pods", secured(capabilities={"drop": []}), "drop ALL", workload()),
    ("restricted-pods", secured(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "SYS_ADMIN", workload()),
    ("restricted-pods", secured(privileged=True), "privileged", workload()),
    ("restricted-pods", container(ports=[{"hostPort": 80, "containerPort": 80}]), "port 80 of the node", workload()),
    (
        "restricted-pods",
        workload({**POD, "hostNetwork": True}, namespace="llm"),
        "hostNetwork",
        workload({**POD, "hostNetwork": True}, namespace="gpu-operator"),
    ),
    (
        "restricted-pods",
        resource("kubernetes:core/v1:Namespace", metadata={"name": "llm"}),
        "namespace llm enforces nothing",
        resource(
            "kubernetes:core/v1:Namespace",
            metadata={"name": "llm", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        ),
    ),
    ("named-images", container(image="redis"), "another one tomorrow", workload()),
    ("named-images", container(image="localhost:5000/redis:latest"), "another one tomorrow", container(image=DIGEST)),
    (
        "gpu-pods",
        gpu_pod({"nvidia.com/gpu": 1, "memory": "1Gi"}),
        "does not tolerate",
        gpu_pod({"nvidia.com/gpu": 1, "memory": "1Gi"}, TOLERATION),
    ),
    (
        "gpu-pods",
        gpu_pod({"nvidia.com/mig-1g.10gb": 1}, TOLERATION),
        "memory limit",
        gpu_pod({"nvidia.com/mig-1g.10gb": 1, "memory": "1Gi"}, TOLERATION),
    ),
    ("gpu-pods", gpu_pod({"memory": "1Gi"}, TOLERATION), "takes no GPU", workload()),
    (
        "tagged",
        resource("aws:s3/bucket:Bucket", tags={"Name": "a"}),
        "llmops-project, llmops-stack",
        resource("aws:s3/bucket:Bucket", tags=TAGS),
    ),
    (
        "tagged",
        resource("gcp:container/nodePool:NodePool", nodeConfig={"resourceLabels": {}}),
        "llmops-stack",
        resource("gcp:container/nodePool:NodePool", nodeConfig={"resourceLabels": TAGS}),
    ),
    ("tagged", workload(labels={"app": "a"}), "app.kubernetes.io/part-of", workload()),
    (
        "protected-stores",
        resource("aws:s3/bucket:Bucket"),
        "not protected",
        Resource(type="aws:s3/bucket:Bucket", props={}, protect=True),
    ),
    (
        "protected-stores",
        Resource(type="gcp:storage/bucket:Bucket", props={"forceDestroy": True}, protect=True),
        "forceDestroy",
        Resource(type="gcp:storage/bucket:Bucket", props={"forceDestroy": False}, protect=True),
    ),
]


@pytest.mark.parametrize(("name", "bad", "word", "good"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_a_rule_refuses_the_one_and_takes_the_other(name: str, bad: Resource, word: str, good: Resource) -> None:
    found = list(NAMES[name].check(bad, Limits()))
    assert any(word in text for text in found), found
    assert list(NAMES[name].check(good, Limits())) == []


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(NAMES)


def test_a_toleration_is_only_asked_for_where_nodes_are_tainted() -> None:
    pod = gpu_pod({"nvidia.com/gpu": 8, "memory": "1Gi"})
    assert list(NAMES["gpu-pods"].check(pod, Limits(tainted=False))) == []


def test_tags_of_the_provider_count() -> None:
    for given in ({"tags": TAGS}, json.dumps({"tags": TAGS})):
        bucket = Resource(type="aws:s3/bucket:Bucket", props={}, provider={"defaultTags": given})
        assert list(NAMES["tagged"].check(bucket, Limits())) == []


def test_in_production_a_tag_is_no_name() -> None:
    production = Limits(require_digests=True)
    assert "name its digest" in next(NAMES["named-images"].check(workload(), production))
    assert list(NAMES["named-images"].check(container(image=DIGEST), production)) == []


def test_an_ephemeral_stack_may_lose_its_stores() -> None:
    bucket = resource("aws:s3/bucket:Bucket", forceDestroy=True)
    assert list(NAMES["protected-stores"].check(bucket, Limits(ephemeral=True))) == []


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_nothing_is_held_against_what_is_not_known_yet(rule: str) -> None:
    """Properties that exist and are not known; a missing property is known to be missing."""
    bad = [case[1] for case in CASES if case[0] == rule]
    for one in bad:
        unknown = Resource(type=one.type, props=dict.fromkeys(one.props, UNKNOWN), protect=True)
        missing = Resource(type=one.type, props={}, protect=True)
        known = set(NAMES[rule].check(missing, Limits()))
        assert set(NAMES[rule].check(unknown, Limits())) <= known


def test_unknown_values_of_the_engine_are_found_at_any_depth() -> None:
    assert plain({"a": [{"b": ANYTHING}, "c"]}) == {"a": [{"b": UNKNOWN}, "c"]}


BUCKET = Resource(type="aws:s3/bucket:Bucket", props={}, name="models", urn="urn:bucket")


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("blocked-buckets", BLOCK),
        (
            "encrypted-buckets",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        ),
    ],
)
def test_a_bucket_needs_its_companions(rule: str, kind: str) -> None:
    check = next(r for r in STACK_RULES if r.name == rule).check
    companion = Resource(type=kind, props={"bucket": UNKNOWN}, urn="urn:c", sources={"bucket": ("urn:bucket",)})
    stranger = Resource(type=kind, props={}, urn="urn:d", sources={"bucket": ("urn:other",)})
    assert [urn for urn, _ in check([BUCKET, stranger], Limits())] == ["urn:bucket"]
    assert list(check([BUCKET, companion], Limits())) == []


def group(machine: str, low: int, high: int, disk: int = 100) -> list[Resource]:
    """A node group of EKS, whose machine stands in its launch template."""
    template = Resource(
        type=TEMPLATE,
        urn=f"urn:{machine}:template",
        props={"instanceType": machine, "blockDeviceMappings": [{"ebs": {"volumeSize": disk}}]},
    )
    nodes = Resource(
        type="aws:eks/nodeGroup:NodeGroup",
        urn=f"urn:{machine}:group",
        props={"scalingConfig": {"minSize": low, "maxSize": high, "desiredSize": low}},
        sources={"launchTemplate": (template.urn,)},
    )
    return [template, nodes]


def pool(machine: str, **scaling: int) -> Resource:
    return Resource(
        type="gcp:container/nodePool:NodePool",
        urn=f"urn:{machine}",
        props={
            "location": "us-central1",
            "autoscaling": scaling,
            "nodeConfig": {"machineType": machine, "diskSizeGb": 100},
        },
    )


def test_a_node_group_costs_its_machines_and_disks() -> None:
    table = prices.load()["aws"]
    each = table.machines["g6.xlarge"] * prices.HOURS + 100 * table.items["diskGib"]
    found = cost.total(group("g6.xlarge", 1, 3))
    assert (round(found.low, 2), round(found.high, 2)) == (round(each, 2), round(3 * each, 2))


def test_a_regional_pool_has_its_size_in_each_of_three_zones() -> None:
    assert cost.nodes(pool("e2-standard-4", minNodeCount=1, maxNodeCount=3)) == cost.Nodes(
        machine="e2-standard-4", low=3, high=9, disk_gib=100
    )
    assert cost.nodes(pool("g2-standard-8", totalMinNodeCount=0, totalMaxNodeCount=4)) == cost.Nodes(
        machine="g2-standard-8", low=0, high=4, disk_gib=100
    )


def test_what_has_no_price_is_named_and_not_guessed() -> None:
    assert cost.total(group("x9.nano", 0, 3)).unpriced == ("x9.nano",)


def test_every_machine_that_settings_can_name_has_a_price() -> None:
    for cloud, machines in (("aws", AWS), ("gcp", GCP)):
        assert set(machines) - set(prices.load()[cloud].machines) == set()


def test_gpus_are_counted_at_the_largest_size_and_by_pods_where_there_are_no_groups() -> None:
    assert cost.gpus([*group("p5.48xlarge", 0, 3), pool("a3-highgpu-8g", totalMaxNodeCount=2)]) == 40
    assert cost.gpus([gpu_pod({"nvidia.com/gpu": "4"})]) == 8  # two replicas
    pod = {**POD, "containers": [{**CONTAINER, "resources": {"limits": {"nvidia.com/gpu": 8}}}]}
    spread = resource(
        "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet",
        spec={"replicas": 2, "leaderWorkerTemplate": {"size": 3, "workerTemplate": {"spec": pod}}},
    )
    assert cost.gpus([spread]) == 48


def broken(limits: Limits, *resources: Resource) -> list[str]:
    return [v.text for v in violations(resources, limits) if v.rule.endswith("-ceiling")]


def test_ceilings_hold_the_largest_size() -> None:
    groups = group("p5.48xlarge", 0, 2)
    assert broken(Limits(max_gpus=16), *groups) == []
    assert "may take 16 GPUs, 8 are allowed" in broken(Limits(max_gpus=8), *groups)[0]
    assert "a month" in broken(Limits(max_monthly_cost=1000), *groups)[0]
    assert "no price for x9.nano" in broken(Limits(max_monthly_cost=1000), *group("x9.nano", 0, 1))[0]
