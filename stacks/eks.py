"""The EKS stack: network, cluster, nodes, controllers, store, and the platform on it, top to bottom."""

from dataclasses import replace

import pulumi
import pulumi_aws as aws

from components.aws_dns import alias_record
from components.aws_network import AwsNetwork, AwsNetworkArgs
from components.aws_scope import AwsScope
from components.cluster import Cluster
from components.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.efa_device_plugin import efa_device_plugin
from components.efs_store import EfsStore, EfsStoreArgs
from components.eks_addons import EksAddons, EksAddonsArgs, after_nodes, before_nodes, default_storage_class
from components.eks_cluster import EksCluster, EksClusterArgs
from components.eks_node_template import SYSTEM, NodeGroup
from components.eks_nodes import EksNodes, EksNodesArgs
from components.gpu_operator import GpuFeatures, GpuOperator, GpuOperatorArgs
from components.load_balancer_controller import (
    LoadBalancerController,
    LoadBalancerControllerArgs,
    service_annotations,
)
from components.model_store import ModelStore
from components.naming import Naming
from components.s3_store import S3Store, S3StoreArgs
from stacks import quotas
from stacks.eks_versions import EKS_VERSIONS
from stacks.machines import AWS
from stacks.platform import Platform
from stacks.schema.eks import Eks, GpuNodeGroup
from stacks.settings import Settings
from stacks.tenant_keys import tenant_keys

SYSTEM_DISK_GIB = 100


def build(settings: Settings) -> None:
    """Wire the EKS stack. Outputs: `endpoint`, `apiKeys` (secret), `modelStore`, and `eks` to find the cluster by."""
    eks = settings.eks
    assert eks is not None  # the settings refuse the target without it
    stack = Stack(settings, eks)
    network = stack.network()
    control_plane = stack.control_plane(network)
    cluster = stack.controllers(network, control_plane, stack.nodes(network, control_plane))
    platform = Platform(settings, cluster, stack.tenant_keys())
    platform.serve(stack.store(network, control_plane, cluster, platform))
    stack.public_name(platform)
    pulumi.export("endpoint", platform.endpoint)
    pulumi.export("apiKeys", platform.api_keys)
    pulumi.export("eks", {"cluster": cluster.name, "region": eks.region})


class Stack:
    """What every part of the EKS stack shares: its settings, its place in AWS, its provider."""

    def __init__(self, settings: Settings, eks: Eks) -> None:
        self.settings, self.eks = settings, eks
        naming = Naming(stack=pulumi.get_stack(), ephemeral=settings.ephemeral, more=eks.tags)
        # Credentials come from the environment; the wrong account is refused before anything is read.
        provider = aws.Provider(
            "aws",
            region=eks.region,
            allowed_account_ids=[eks.account] if eks.account else None,
            default_tags={"tags": naming.tags()},
        )
        if settings.guards.check_quotas:
            quotas.check(eks, pulumi.InvokeOptions(provider=provider))
        self.provider, self.aws = provider, pulumi.ResourceOptions(providers=[provider])
        self.asking = pulumi.InvokeOutputOptions(provider=provider)
        account = eks.account or aws.get_caller_identity_output(opts=self.asking).account_id
        self.scope = AwsScope(naming=naming, region=eks.region, account=account)
        self.versions = EKS_VERSIONS[eks.kubernetes_version]
        self.storage = settings.storage.kind or "s3"

    def network(self) -> AwsNetwork:
        """The VPC."""
        return AwsNetwork(
            "network",
            AwsNetworkArgs(
                scope=self.scope,
                cluster_name=self.scope.naming.of("aws:eks-cluster"),
                cidr=self.eks.vpc_cidr,
                zones=self.eks.zone_names,
                nat=self.eks.nat,
                log_retention_days=self.eks.log_retention_days,
            ),
            opts=self.aws,
        )

    def control_plane(self, network: AwsNetwork) -> EksCluster:
        """The API server."""
        return EksCluster(
            "eks",
            EksClusterArgs(
                scope=self.scope,
                kubernetes_version=self.eks.kubernetes_version,
                vpc_id=network.vpc_id,
                subnet_ids=tuple(network.private_subnets.values()),
                service_cidr=self.eks.service_cidr,
                public_access_cidrs=self.eks.public_access_cidrs,
                admins=self.eks.admins,
                log_retention_days=self.eks.log_retention_days,
            ),
            opts=self.aws,
        )

    def nodes(self, network: AwsNetwork, control_plane: EksCluster) -> Cluster:
        """The nodes, with the add-ons that they need and those that need them."""
        first = EksAddons(
            "addons",
            EksAddonsArgs(
                scope=self.scope,
                cluster_name=control_plane.cluster_name,
                addons=before_nodes(self.versions.vpc_cni, self.versions.kube_proxy, self.versions.pod_identity_agent),
                after=(control_plane.control_plane,),
            ),
            opts=self.aws,
        )
        nodes = EksNodes(
            "nodes",
            EksNodesArgs(
                scope=self.scope,
                cluster_name=control_plane.cluster_name,
                kubernetes_version=self.eks.kubernetes_version,
                vpc_id=network.vpc_id,
                cluster_security_group=control_plane.security_group,
                subnets=network.private_subnets,
                system=self._system_group(),
                gpu=tuple(self._gpu_group(group) for group in self.eks.node_groups),
                after=(control_plane.control_plane, *network.routes, *first.ready),
            ),
            opts=self.aws,
        )
        second = EksAddons(
            "node-addons",
            EksAddonsArgs(
                scope=self.scope,
                cluster_name=control_plane.cluster_name,
                addons=after_nodes(
                    self.versions.coredns,
                    self.versions.ebs_csi_driver,
                    self.versions.efs_csi_driver if self.storage == "efs" else None,
                ),
                after=nodes.ready,
            ),
            opts=self.aws,
        )
        gateway = self.settings.gateway
        cluster = control_plane.cluster(
            system=nodes.system,
            pools=nodes.pools,
            ready=(*nodes.ready, *first.ready, *second.ready),
            service_annotations=service_annotations(
                self.scope.naming.of("aws:load-balancer", "gateway"),
                internal=gateway.internal,
                certificate=gateway.tls.certificate if gateway.tls.kind == "cloud" else None,
                tags=self.scope.naming.tags(),
            ),
        )
        default_storage_class("gp3", cluster, second)
        return cluster

    def controllers(self, network: AwsNetwork, control_plane: EksCluster, cluster: Cluster) -> Cluster:
        """The controllers that work for everything above: they come before it, and go after it."""
        versions = self.settings.versions
        # The NVIDIA image of EKS brings driver and container toolkit; device plugin and DCGM are the operator's.
        gpus = GpuOperator(
            "gpu-operator",
            GpuOperatorArgs(
                cluster=cluster,
                chart=versions.gpu_operator_chart,
                features=GpuFeatures(driver=False, toolkit=False),
            ),
        )
        balancers = LoadBalancerController(
            "load-balancers",
            LoadBalancerControllerArgs(
                scope=self.scope,
                cluster=cluster,
                vpc_id=network.vpc_id,
                chart=versions.load_balancer_controller_chart,
                control_plane=control_plane.control_plane,
            ),
            opts=self.aws,
        )
        autoscaler = ClusterAutoscaler(
            "autoscaler",
            ClusterAutoscalerArgs(
                scope=self.scope,
                cluster=cluster,
                chart=versions.cluster_autoscaler_chart,
                image_tag=self.versions.cluster_autoscaler,
                control_plane=control_plane.control_plane,
            ),
            opts=self.aws,
        )
        if any(group.efa for group in self.eks.node_groups):
            efa_device_plugin("efa-device-plugin", cluster, versions.efa_device_plugin_chart, self.scope, control_plane)
        return replace(cluster, ready=(*cluster.ready, gpus.release, balancers.release, autoscaler.release))

    def store(self, network: AwsNetwork, control_plane: EksCluster, cluster: Cluster, platform: Platform) -> ModelStore:
        """Where the models are."""
        ephemeral = self.settings.ephemeral
        if self.storage == "efs":
            files = EfsStore(
                "models",
                EfsStoreArgs(
                    scope=self.scope,
                    vpc_id=network.vpc_id,
                    subnets=network.private_subnets,
                    client_security_group=control_plane.security_group,
                    ephemeral=ephemeral,
                ),
                opts=self.aws,
            )
            pulumi.export("modelStore", files.address)
            return files.on(cluster, platform.namespace)
        bucket = S3Store("models", S3StoreArgs(scope=self.scope, ephemeral=ephemeral), opts=self.aws)
        pulumi.export("modelStore", bucket.address)
        return bucket.on(
            cluster,
            namespace=self.settings.namespace,
            namespace_made=platform.namespace,
            control_plane=control_plane.control_plane,
        )

    def tenant_keys(self) -> pulumi.Output[dict[str, str]] | None:
        """The tenants' keys, where Secrets Manager keeps them."""

        def read(secret: str) -> pulumi.Output[str]:
            return aws.secretsmanager.get_secret_version_output(secret_id=secret, opts=self.asking).secret_string

        return tenant_keys(self.settings, read)

    def public_name(self, platform: Platform) -> None:
        """The gateway's name in Route 53, where the settings name a zone."""
        gateway = self.settings.gateway
        if gateway.dns_zone and gateway.hostname:
            alias_record(
                "gateway-name",
                zone_id=gateway.dns_zone,
                hostname=gateway.hostname,
                load_balancer=platform.address,
                provider=self.provider,
            )

    def _system_group(self) -> NodeGroup:
        system = self.eks.system_nodes
        return NodeGroup(
            name=SYSTEM,
            instance_type=system.instance_type,
            min=system.min,
            max=system.max,
            zones=self.eks.zone_names,
            disk_gib=SYSTEM_DISK_GIB,
        )

    def _gpu_group(self, group: GpuNodeGroup) -> NodeGroup:
        machine = AWS[group.instance_type]
        assert machine.gpu is not None  # the settings refuse a GPU group without
        return NodeGroup(
            name=group.name,
            instance_type=group.instance_type,
            capacity=group.capacity,
            reservation_id=group.reservation_id,
            min=group.min,
            max=group.max,
            zones=group.zones or self.eks.zone_names,
            disk_gib=group.disk_gib,
            gpus=machine.gpus,
            accelerator=machine.gpu.name,
            local_ssds=machine.local_ssds,
            local_ssd_gb=machine.local_ssd_gb,
            efa=machine.efa if group.efa else 0,
            placement_group=group.placement_group,
        )
