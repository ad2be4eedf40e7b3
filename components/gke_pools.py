"""The node pools of a GKE cluster: one for our own pods, any number with GPUs.

Nodes run as a service account of their own with GKE's least roles. GKE installs the GPU driver and runs the device
plugin and DCGM itself, tested together with each node version; NVIDIA's GPU Operator would install all three once
more and fight over the same device files, so there is none.
"""

from dataclasses import dataclass

import pulumi
from pulumi_gcp import container, projects, serviceaccount
from pulumi_gcp.container import (
    NodePoolAutoscalingArgsDict,
    NodePoolNodeConfigArgsDict,
    NodePoolUpgradeSettingsArgsDict,
)

from components.cluster import Pool
from components.naming import Naming

SYSTEM = "system"
POOL_LABEL = "llmops.dev/pool"
# https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster#use_least_privilege_sa; and the images.
NODE_ROLES = {"node": "roles/container.defaultNodeServiceAccount", "images": "roles/artifactregistry.reader"}
GPU_RESOURCE = "nvidia.com/gpu"
NODE_TIMEOUT = pulumi.CustomTimeouts(create="60m", update="120m", delete="60m")
# https://cloud.google.com/compute/docs/disks/hyperdisks: these machines take no Persistent Disk.
HYPERDISK_ONLY = ("a3-ultragpu", "a4-")


@dataclass(frozen=True, kw_only=True)
class GpuPool:
    """Nodes with GPUs of one kind. `local_ssds` is how many of the machine's become scratch space."""

    name: str
    machine_type: str
    accelerator: str
    gpus: int
    capacity: str  # on-demand, spot, reservation, flex-start
    reservation: str | None
    min: int
    max: int
    zones: tuple[str, ...]
    compact_placement: bool
    local_ssds: int
    driver: str
    disk_gib: int


@dataclass(frozen=True, kw_only=True)
class SystemPool:
    """Nodes without GPUs; `min` and `max` are nodes a zone."""

    machine_type: str
    min: int
    max: int


@dataclass(frozen=True, kw_only=True)
class GkePoolsArgs:
    """The pools of one cluster. `network_tag` is what firewall rules know the nodes by."""

    naming: Naming
    project: str
    region: str
    cluster: pulumi.Input[str]
    account: pulumi.Input[str]
    account_roles: tuple[pulumi.Resource, ...]
    network_tag: str
    kms_key: str | None
    system: SystemPool
    gpus: tuple[GpuPool, ...]


class NodeAccount(pulumi.ComponentResource):
    """Who the nodes are: a service account that may write logs and metrics and pull images, and nothing else."""

    email: pulumi.Output[str]
    roles: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, naming: Naming, project: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:NodeAccount", name, {}, opts)
        account = serviceaccount.Account(
            f"{name}-account",
            account_id=naming.of("gcp:service-account", "nodes"),
            display_name=f"GKE nodes of the stack {naming.stack}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.roles = tuple(
            projects.IAMMember(
                f"{name}-{what}",
                project=project,
                role=role,
                member=account.member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for what, role in NODE_ROLES.items()
        )
        self.email = account.email
        self.register_outputs({})


class GkePools(pulumi.ComponentResource):
    """`system` and `gpus` say how a pod gets onto the nodes, `ready` what has to exist while anything runs there.

    Pulumi names the pools, with letters of its own: one that has to be replaced is there before the old one goes, and
    pods find both by the same label.
    """

    system: Pool
    gpus: dict[str, Pool]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: GkePoolsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:GkePools", name, {}, opts)
        system = container.NodePool(
            f"{name}-{SYSTEM}",
            cluster=args.cluster,
            location=args.region,
            initial_node_count=args.system.min,
            autoscaling={"min_node_count": args.system.min, "max_node_count": args.system.max},
            management={"auto_repair": True, "auto_upgrade": True},
            upgrade_settings={"strategy": "SURGE", "max_surge": 1, "max_unavailable": 0},
            node_config=self._system_node(args),
            opts=self._options(args),
        )
        gpus = [self._gpu_pool(name, args, pool, system) for pool in args.gpus]
        self.system = Pool(node_selector={POOL_LABEL: SYSTEM})
        self.gpus = {pool.name: _placement(pool) for pool in args.gpus}
        self.ready = (system, *gpus)
        self.register_outputs({})

    def _options(self, args: GkePoolsArgs, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[*args.account_roles, *after],
            custom_timeouts=NODE_TIMEOUT,
            # Only the first size: the autoscaler's is no drift, and another one must not replace the pool.
            ignore_changes=["initialNodeCount"],
        )

    def _gpu_pool(self, name: str, args: GkePoolsArgs, pool: GpuPool, system: container.NodePool) -> container.NodePool:
        flex = pool.capacity == "flex-start"
        return container.NodePool(
            f"{name}-{pool.name}",
            cluster=args.cluster,
            location=args.region,
            node_locations=list(pool.zones) or None,
            # In each zone; the autoscaler then keeps the totals.
            initial_node_count=0,
            autoscaling=_autoscaling(pool),
            # A flex-start node lives for days and takes no repair: its capacity goes back with it.
            management={"auto_repair": not flex, "auto_upgrade": True},
            upgrade_settings=_upgrades(pool),
            placement_policy={"type": "COMPACT"} if pool.compact_placement else None,
            node_config=self._gpu_node(args, pool),
            # After the system pool, so that GKE's own pods never start on a GPU node.
            opts=self._options(args, system),
        )

    def _system_node(self, args: GkePoolsArgs) -> NodePoolNodeConfigArgsDict:
        return {**self._node(args, args.system.machine_type, SYSTEM), "disk_size_gb": 100}

    def _node(self, args: GkePoolsArgs, machine_type: str, pool: str) -> NodePoolNodeConfigArgsDict:
        """What every node has, whatever it is for."""
        node: NodePoolNodeConfigArgsDict = {
            "machine_type": machine_type,
            "image_type": "COS_CONTAINERD",
            "disk_type": "hyperdisk-balanced" if machine_type.startswith(HYPERDISK_ONLY) else "pd-balanced",
            "service_account": args.account,
            # The service account's roles decide; scopes are the older, coarser limit.
            "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "labels": {POOL_LABEL: pool},
            "resource_labels": args.naming.labels(),
            "tags": [args.network_tag],
            "metadata": {"disable-legacy-endpoints": "true"},
            "workload_metadata_config": {"mode": "GKE_METADATA"},
            "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            "kubelet_config": {"insecure_kubelet_readonly_port_enabled": "FALSE"},
            "gcfs_config": {"enabled": True},  # image streaming: Triton's image has 20 GB
            "gvnic": {"enabled": True},
        }
        if args.kms_key:
            node["boot_disk_kms_key"] = args.kms_key
        return node

    def _gpu_node(self, args: GkePoolsArgs, pool: GpuPool) -> NodePoolNodeConfigArgsDict:
        node: NodePoolNodeConfigArgsDict = {
            **self._node(args, pool.machine_type, pool.name),
            "disk_size_gb": pool.disk_gib,
            "guest_accelerators": [
                {
                    "type": pool.accelerator,
                    "count": pool.gpus,
                    "gpu_driver_installation_config": {"gpu_driver_version": pool.driver.upper()},
                }
            ],
            # GKE adds the same to GPU pools by itself, but only where another pool existed before.
            "taints": [{"key": GPU_RESOURCE, "value": "present", "effect": "NO_SCHEDULE"}],
            "reservation_affinity": {"consume_reservation_type": "NO_RESERVATION"},
        }
        if pool.local_ssds:
            node["ephemeral_storage_local_ssd_config"] = {"local_ssd_count": pool.local_ssds}
        if pool.capacity == "reservation":
            node["reservation_affinity"] = {
                "consume_reservation_type": "SPECIFIC_RESERVATION",
                "key": "compute.googleapis.com/reservation-name",
                "values": [pool.reservation or ""],
            }
        if pool.capacity == "spot":
            node["spot"] = True
        if pool.capacity == "flex-start":
            node["flex_start"] = True
            node["max_run_duration"] = "604800s"  # seven days, the longest
        return node


def _autoscaling(pool: GpuPool) -> NodePoolAutoscalingArgsDict:
    """From zero, over all zones together, wherever the GPUs are."""
    return {"total_min_node_count": pool.min, "total_max_node_count": pool.max, "location_policy": "ANY"}


def _upgrades(pool: GpuPool) -> NodePoolUpgradeSettingsArgsDict:
    if pool.capacity == "flex-start":
        return {"strategy": "SHORT_LIVED"}
    # There is seldom one GPU machine more to be had: nodes are upgraded in place of each other.
    return {"strategy": "SURGE", "max_surge": 0, "max_unavailable": 1}


def _placement(pool: GpuPool) -> Pool:
    selector = {POOL_LABEL: pool.name}
    if pool.capacity == "flex-start":
        selector["cloud.google.com/gke-flex-start"] = "true"
    return Pool(
        node_selector=selector,
        tolerations=({"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"},),
        gpus=pool.gpus,
    )
