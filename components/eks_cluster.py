"""The EKS control plane, through pulumi-eks, and the Kubernetes provider for it.

pulumi-eks serves for the control plane: role, readiness, access entries, kubeconfig. Its node groups and add-ons
would hide what the platform decides itself, so they are left out and stand in modules of their own.
"""

import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as k8s

from components.aws_scope import AwsScope
from components.cluster import Cluster, Pool
from components.kubernetes_provider import kubernetes_provider

# Who did what (audit), who came in (authenticator), and the API server's own troubles.
LOG_TYPES = ["api", "audit", "authenticator"]
ADMIN_POLICY = "cluster-access-policy/AmazonEKSClusterAdminPolicy"


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """`public_access_cidrs` empty: only the private network reaches the API server. `admins`: IAM ARNs."""

    scope: AwsScope
    kubernetes_version: str
    vpc_id: pulumi.Input[str]
    subnet_ids: tuple[pulumi.Input[str], ...]
    service_cidr: str
    public_access_cidrs: tuple[str, ...]
    admins: tuple[str, ...]
    log_retention_days: int

    def __post_init__(self) -> None:
        if any(cidr in ("0.0.0.0/0", "::/0") for cidr in self.public_access_cidrs):
            raise ValueError("eks.publicAccessCidrs: the API server is not opened to everybody; name your networks")


class EksCluster(pulumi.ComponentResource):
    """The control plane. Everything that lives in or on it comes after `control_plane`."""

    cluster_name: str
    control_plane: eks.Cluster
    provider: k8s.Provider
    security_group: pulumi.Output[str]  # EKS' own: nodes and control plane talk inside it

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:EksCluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        # A name of our own is known before the cluster is, so a first preview shows every part of it.
        self.cluster_name = args.scope.naming.of("aws:eks-cluster")
        key = aws.kms.Key(
            f"{name}-secrets",
            description=f"Envelope encryption of Kubernetes Secrets in {self.cluster_name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,  # nothing outlives the cluster that it encrypts
            opts=child,
        )
        aws.kms.Alias(
            f"{name}-secrets",
            name=f"alias/{args.scope.naming.of('aws:kms-alias', 'secrets')}",
            target_key_id=key.key_id,
            opts=child,
        )
        # EKS would make this group itself, without an end to what it keeps.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{self.cluster_name}/cluster",
            retention_in_days=args.log_retention_days,
            opts=child,
        )
        public = bool(args.public_access_cidrs)
        self.control_plane = eks.Cluster(
            name,
            name=self.cluster_name,
            version=args.kubernetes_version,
            vpc_id=args.vpc_id,
            private_subnet_ids=list(args.subnet_ids),
            kubernetes_service_ip_address_range=args.service_cidr,
            endpoint_private_access=True,
            endpoint_public_access=public,
            public_access_cidrs=list(args.public_access_cidrs) if public else None,
            encryption_config_key_arn=key.arn,
            enabled_cluster_log_types=list(LOG_TYPES),
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={
                _entry_name(arn): eks.AccessEntryArgs(
                    principal_arn=arn,
                    access_policies={
                        "admin": eks.AccessPolicyAssociationArgs(
                            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                            policy_arn=f"arn:{args.scope.partition}:eks::aws:{ADMIN_POLICY}",
                        )
                    },
                )
                for arn in args.admins
            },
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),  # six times cheaper than EXTENDED
            bootstrap_self_managed_addons=False,  # components/eks_addons.py has them, pinned
            use_default_vpc_cni=True,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            skip_default_node_group=True,
            skip_default_security_groups=True,  # EKS' own cluster security group does the same
            create_instance_role=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )
        self.security_group = self.control_plane.cluster_security_group_id
        self.provider = kubernetes_provider(
            name,
            self.control_plane.kubeconfig_json,
            identity=self.cluster_name,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.control_plane]),
        )
        self.register_outputs({"name": self.cluster_name})

    def cluster(
        self,
        *,
        system: Pool,
        pools: dict[str, Pool],
        ready: tuple[pulumi.Resource, ...],
        service_annotations: dict[str, pulumi.Input[str]],
    ) -> Cluster:
        """What the layers above may know, once there are nodes; `ready` is what they wait for."""
        return Cluster(
            name=self.cluster_name,
            provider=self.provider,
            ingress="LoadBalancer",
            system=system,
            pools=pools,
            # Without the class, EKS' built-in controller would make a classic load balancer before ours is asked.
            load_balancer_class="service.k8s.aws/nlb",
            service_annotations=service_annotations,
            ready=ready,
        )


def _entry_name(arn: str) -> str:
    """A stable name for an administrator's access entry: the list's order does not matter."""
    kind, _, path = arn.split(":", 5)[5].partition("/")
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{kind}-{path}")
