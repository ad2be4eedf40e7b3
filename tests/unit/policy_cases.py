"""For each rule of the policy pack: what it refuses, and what it takes instead."""

from policy.resource import Resource
from tests.unit.policy_resources import (
    DIGEST,
    POD,
    TEMPLATE,
    TOLERATION,
    container,
    gpu_pod,
    policy,
    resource,
    secured,
    workload,
)

LAUNCH = {
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
}
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
