"""A GKE cluster: private, VPC-native, with Workload Identity, and the pools that its nodes come from."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_gcp import container

from components.cluster import Cluster
from components.gcp_network import PODS, SERVICES, GcpNetwork
from components.gcp_project import GcpProject
from components.gke_pools import GkePools, GkePoolsArgs, GpuPool, NodeAccount, SystemPool
from components.kubernetes_provider import kubernetes_provider
from components.naming import Naming

CLUSTER_TIMEOUT = pulumi.CustomTimeouts(create="60m", update="90m", delete="60m")
LOGGED = ("SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "SCHEDULER", "CONTROLLER_MANAGER")
MEASURED = ("SYSTEM_COMPONENTS", "POD", "DEPLOYMENT", "HPA", "STORAGE", "CADVISOR", "KUBELET", "DCGM")


@dataclass(frozen=True, kw_only=True)
class GkeClusterArgs:
    """Plain fields shape the plan; the schema's comments say what each means (stacks/schema/gke.py).

    `window` is the first maintenance window's start and end (RFC 3339) and its RRULE. `deletion_protection`: the
    cluster cannot be deleted before this is taken back. `service_annotations` are the load balancer's.
    """

    naming: Naming
    project: GcpProject
    region: str
    network: GcpNetwork
    control_plane_cidr: str
    authorized_networks: tuple[str, ...]
    dns_endpoint: bool
    release_channel: str
    min_version: str | None
    window: tuple[str, str, str]
    kms_key: str | None
    deletion_protection: bool
    system: SystemPool
    pools: tuple[GpuPool, ...]
    service_annotations: dict[str, pulumi.Input[str]]


class GkeCluster(pulumi.ComponentResource):
    """The control plane, its node pools and their service account. Hands over `cluster`."""

    cluster: Cluster

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GkeCluster", name, {}, opts)
        account = NodeAccount(f"{name}-nodes", args.naming, args.project.id, pulumi.ResourceOptions(parent=self))
        grants: list[pulumi.Resource] = []
        if args.kms_key:
            grants = [
                args.project.grant_key(f"{name}-key-{service}", args.kms_key, service, self)
                for service in ("cluster", "disks")
            ]
        control_plane = self._control_plane(name, args, account, [*args.network.ready, *grants])
        pools = GkePools(
            f"{name}-pool",
            GkePoolsArgs(
                naming=args.naming,
                project=args.project.id,
                region=args.region,
                cluster=control_plane.name,
                account=account.email,
                # What a node needs while it runs is there before it, and until it is gone.
                account_roles=(*account.roles, *args.network.ready, *grants),
                network_tag=args.naming.of("gcp:network", "nodes"),
                kms_key=args.kms_key,
                system=args.system,
                gpus=args.pools,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        provider = kubernetes_provider(
            name,
            self._kubeconfig(control_plane, args),
            identity=f"gke:{args.project.id}/{args.region}/{args.naming.of('gcp:cluster')}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.cluster = Cluster(
            name=args.naming.of("gcp:cluster"),
            provider=provider,
            ingress="LoadBalancer",
            system=pools.system,
            pools=pools.gpus,
            service_annotations=args.service_annotations,
            ready=pools.ready,
        )
        self.register_outputs({})

    def _control_plane(
        self, name: str, args: GkeClusterArgs, account: NodeAccount, after: list[pulumi.Resource]
    ) -> container.Cluster:
        start, end, recurrence = args.window
        return container.Cluster(
            f"{name}-control-plane",
            name=args.naming.of("gcp:cluster"),
            project=args.project.id,
            location=args.region,
            resource_labels=args.naming.labels(),
            deletion_protection=args.deletion_protection,
            network=args.network.network.id,
            subnetwork=args.network.subnet.id,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={"cluster_secondary_range_name": PODS, "services_secondary_range_name": SERVICES},
            datapath_provider="ADVANCED_DATAPATH",  # Dataplane V2: NetworkPolicies are enforced
            enable_l4_ilb_subsetting=True,  # load balancers name nodes themselves, past 250 of them
            private_cluster_config={
                "enable_private_nodes": True,
                "enable_private_endpoint": not args.authorized_networks,
                "master_ipv4_cidr_block": args.control_plane_cidr,
            },
            master_authorized_networks_config={
                "cidr_blocks": [{"cidr_block": cidr} for cidr in args.authorized_networks],
                "gcp_public_cidrs_access_enabled": False,
            },
            control_plane_endpoints_config={"dns_endpoint_config": {"allow_external_traffic": args.dns_endpoint}},
            workload_identity_config={"workload_pool": f"{args.project.id}.svc.id.goog"},
            release_channel={"channel": args.release_channel},
            min_master_version=args.min_version,
            maintenance_policy={
                "recurring_window": {"start_time": start, "end_time": end, "recurrence": recurrence},
            },
            enable_shielded_nodes=True,
            database_encryption={"state": "ENCRYPTED", "key_name": args.kms_key} if args.kms_key else None,
            security_posture_config={"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_DISABLED"},
            logging_config={"enable_components": list(LOGGED)},
            monitoring_config={
                "enable_components": list(MEASURED),
                "managed_prometheus": {"enabled": True},  # DCGM's metrics go there
                "advanced_datapath_observability_config": {"enable_metrics": True, "enable_relay": False},
            },
            cost_management_config={"enabled": True},
            # Envoy Gateway's chart brings the Gateway API's CRDs; GKE's own copy of another version would fight it.
            gateway_api_config={"channel": "CHANNEL_DISABLED"},
            addons_config={
                "http_load_balancing": {"disabled": False},  # its controller makes the load balancers
                "horizontal_pod_autoscaling": {"disabled": False},
                "dns_cache_config": {"enabled": True},
                "gce_persistent_disk_csi_driver_config": {"enabled": True},
            },
            # Nodes are not made up by GKE, and idle GPU nodes leave soon.
            cluster_autoscaling={"enabled": False, "autoscaling_profile": "OPTIMIZE_UTILIZATION"},
            # GKE cannot make a cluster without a pool: the first one lives for minutes, as our own service account,
            # because organisations disable the default one.
            remove_default_node_pool=True,
            initial_node_count=1,
            node_config=_first_node(account, args.kms_key),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*after, *account.roles],
                custom_timeouts=CLUSTER_TIMEOUT,
                # Of the pool that is gone; a difference would replace the cluster.
                ignore_changes=["nodeConfig", "initialNodeCount"],
            ),
        )

    def _kubeconfig(self, control_plane: container.Cluster, args: GkeClusterArgs) -> pulumi.Output[str]:
        """A kubeconfig without a credential: the plugin asks Google for a token as whoever runs Pulumi."""
        return pulumi.Output.all(
            name=control_plane.name,
            endpoint=control_plane.endpoint,
            authority=control_plane.master_auth.apply(lambda auth: auth.cluster_ca_certificate),
            dns=control_plane.control_plane_endpoints_config.apply(_dns_endpoint) if args.dns_endpoint else "",
        ).apply(_kubeconfig)


def _first_node(account: NodeAccount, kms_key: str | None) -> container.ClusterNodeConfigArgsDict:
    """The node of the pool that GKE insists on and that is gone again before ours come."""
    node: container.ClusterNodeConfigArgsDict = {
        "service_account": account.email,
        "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
        "workload_metadata_config": {"mode": "GKE_METADATA"},
    }
    if kms_key:
        node["boot_disk_kms_key"] = kms_key
    return node


def _dns_endpoint(config: Any) -> str:
    dns = config.dns_endpoint_config if config else None
    return str(dns.endpoint or "") if dns else ""


def _kubeconfig(known: dict[str, Any]) -> str:
    # The name on Google's front end has a public certificate; the address has the cluster's own.
    where = (
        {"server": f"https://{known['dns']}"}
        if known["dns"]
        else {"server": f"https://{known['endpoint']}", "certificate-authority-data": known["authority"]}
    )
    name = known["name"]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": where}],
            "users": [
                {
                    "name": name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "gke-gcloud-auth-plugin",
                            "provideClusterInfo": True,
                            "interactiveMode": "Never",
                            "installHint": "install it with: gcloud components install gke-gcloud-auth-plugin",
                        }
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
