"""DGX, HGX and OpenShift: the whole platform on a cluster that exists already, top to bottom."""

import os
from dataclasses import replace
from pathlib import Path

import pulumi

from components.cluster import Cluster, Pool
from components.dgx_cluster import POOL_LABEL, DgxCluster, DgxClusterArgs
from components.gpfs_store import DRIVER as GPFS_DRIVER
from components.gpfs_store import GpfsStore, GpfsStoreArgs
from components.gpu_operator import GpuFeatures, GpuOperator, GpuOperatorArgs
from components.gpu_sharing import MigLayout, gpu_resource, node_labels
from components.kube_reader import KubeReader
from components.kubeconfig import KubeError, parse
from components.metallb import CLASS, MetalLb, MetalLbArgs, Router
from components.model_store import ModelStore
from components.network_operator import NetworkOperator, NetworkOperatorArgs, rdma_resource
from components.nfs_store import NfsStore, NfsStoreArgs
from components.openshift_gpus import OpenShiftGpus, OpenShiftGpusArgs
from components.openshift_monitoring import OpenShiftMonitoring, OpenShiftMonitoringArgs
from components.openshift_route import OpenShiftRoute, OpenShiftRouteArgs
from components.preflight import Needs, PoolNeed, failures
from stacks.machines import DGX
from stacks.platform import Platform
from stacks.schema.dgx import Dgx, GpuPool
from stacks.settings import Settings

# Labels that the GPU Operator puts on nodes with GPUs, and the taint that keeps other pods off them.
PRESENT = {"nvidia.com/gpu.present": "true"}


def build(settings: Settings) -> None:
    """Wire the stack. Outputs: `endpoint`, the base URL, and the secret map `apiKeys`."""
    assert settings.dgx is not None
    dgx = settings.dgx
    kubeconfig = _kubeconfig(dgx)
    _preflight(settings, dgx, kubeconfig)
    cluster = _cluster(dgx, kubeconfig)
    cluster = replace(cluster, ready=(*cluster.ready, *_operators(settings, dgx, cluster)))
    platform = Platform(settings, cluster)
    platform.serve(_store(settings, cluster, platform.namespace))
    endpoint = platform.endpoint
    if dgx.distribution == "openshift":
        endpoint = _route(settings, dgx, cluster, platform)
        if dgx.openshift.user_monitoring:
            OpenShiftMonitoring("user-monitoring", OpenShiftMonitoringArgs(cluster=cluster))
    pulumi.export("endpoint", endpoint)
    pulumi.export("apiKeys", platform.api_keys)


def _kubeconfig(dgx: Dgx) -> str:
    # Of a list of files the first: kubectl merges them, and the provider is given one.
    path = dgx.kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    if not path:
        raise pulumi.RunError(
            "llmops:dgx.kubeconfig: is not set, and neither is $KUBECONFIG; set it to the kubeconfig of your cluster, "
            "or run `make preview STACK=…`, which pretends one"
        )
    try:
        return Path(path).expanduser().read_text()
    except OSError as error:
        raise pulumi.RunError(
            f"llmops:dgx.kubeconfig: cannot read {path}: {error.strerror}; set it to the kubeconfig of your cluster"
        ) from None


def _preflight(settings: Settings, dgx: Dgx, kubeconfig: str) -> None:
    """Refuse a cluster that is not what the settings say, before anything is changed: in previews too."""
    if dgx.skip_preflight:
        pulumi.log.warn(f"The cluster was not looked at beforehand (dgx.skipPreflight: {dgx.skip_preflight}).")
        return
    try:
        found = failures(KubeReader(parse(kubeconfig, dgx.context)), _needs(settings, dgx))
    except KubeError as error:
        raise pulumi.RunError(
            f"llmops:dgx.kubeconfig: {error}; correct it, or say in dgx.skipPreflight why nobody looks"
        ) from None
    if found:
        raise pulumi.RunError("\n".join(f"llmops:{sentence}" for sentence in found))


def _needs(settings: Settings, dgx: Dgx) -> Needs:
    return Needs(
        distribution=dgx.distribution,
        openshift_version=dgx.openshift.version,
        pools=tuple(
            PoolNeed(
                key=f"dgx.pools[{i}]",
                nodes=pool.nodes,
                gpus=DGX[pool.machine].gpus,
                gpu=gpu.name if (gpu := DGX[pool.machine].gpu) else "",
                selector=pool.selector,
                hosts=pool.hosts,
                shared=pool.shared,
            )
            for i, pool in enumerate(dgx.pools)
        ),
        system_selector=dgx.system_selector,
        csi_driver=GPFS_DRIVER if settings.storage.kind == "gpfs" else None,
        installs_gpu_operator=dgx.gpu_operator.install,
    )


def _cluster(dgx: Dgx, kubeconfig: str) -> Cluster:
    layouts = _layouts(dgx)
    balancer = dgx.load_balancer
    return DgxCluster(
        "dgx",
        DgxClusterArgs(
            kubeconfig=kubeconfig,
            context=dgx.context,
            system=Pool(node_selector=dgx.system_selector),
            pools={pool.name: _pool(dgx, pool, layouts.get(pool.name)) for pool in dgx.pools},
            host_labels={
                host: {POOL_LABEL: pool.name, **node_labels(layouts.get(pool.name), pool.time_slices)}
                for pool in dgx.pools
                for host in pool.hosts
            },
            openshift=dgx.distribution == "openshift",
            load_balancer_class=CLASS if balancer.kind == "metallb" else balancer.load_balancer_class,
        ),
    ).cluster


def _layouts(dgx: Dgx) -> dict[str, MigLayout]:
    """The MIG layout of each pool that has one."""
    return {pool.name: MigLayout(name=f"llmops-{pool.name}", profiles=pool.mig) for pool in dgx.pools if pool.mig}


def _pool(dgx: Dgx, pool: GpuPool, layout: MigLayout | None) -> Pool:
    network = dgx.network_operator
    return Pool(
        node_selector={**({POOL_LABEL: pool.name} if pool.hosts else pool.selector), **PRESENT},
        tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
        gpus=pool.unit(DGX[pool.machine]).gpus,
        gpu_resource=gpu_resource(dgx.gpu_operator.mig, layout),
        fabric={rdma_resource(network.resource): 1} if network.install else {},
    )


def _operators(settings: Settings, dgx: Dgx, cluster: Cluster) -> tuple[pulumi.Resource, ...]:
    """Drivers, devices and addresses; what the layers above wait for."""
    versions, gpu, network, balancer = settings.versions, dgx.gpu_operator, dgx.network_operator, dgx.load_balancer
    ready: list[pulumi.Resource] = []
    features = GpuFeatures(
        driver=not gpu.host_driver,
        toolkit=not gpu.host_driver,
        mig=gpu.mig,
        layouts=tuple(_layouts(dgx).values()),
        slices=tuple(pool.time_slices for pool in dgx.pools),
        gds=gpu.gds,
        gdrcopy=gpu.gdrcopy,
        host_network_driver=network.install and network.host_driver,
        service_monitor_labels=gpu.service_monitor_labels,
    )
    if gpu.install and dgx.distribution == "openshift":
        own = dgx.openshift
        gpus = OpenShiftGpus(
            "gpus",
            OpenShiftGpusArgs(
                cluster=cluster,
                features=features,
                version=own.version,
                nfd_channel=own.nfd_channel,
                nfd_starting_csv=own.nfd_starting_csv,
                gpu_channel=own.gpu_channel,
                gpu_starting_csv=own.gpu_starting_csv,
                approval=own.approval,
            ),
        )
        ready.append(gpus.policy)
    elif gpu.install:
        chart = versions.gpu_operator_chart
        operator = GpuOperator("gpu-operator", GpuOperatorArgs(cluster=cluster, chart=chart, features=features))
        ready.append(operator.release)
    if network.install:
        fabric = NetworkOperator(
            "network-operator",
            NetworkOperatorArgs(
                cluster=replace(cluster, ready=(*cluster.ready, *ready)),
                chart=versions.network_operator_chart,
                image_tag=versions.network_operator_images,
                resource=network.resource,
                pods_per_node=network.pods_per_node,
                interfaces=network.interfaces,
                driver=None if network.host_driver else versions.doca_driver,
                feature_discovery=not gpu.install,
            ),
        )
        ready.append(fabric.policy)
    if balancer.kind == "metallb":
        routers = (Router(my_asn=p.my_asn, peer_asn=p.peer_asn, address=p.peer_address) for p in balancer.bgp_peers)
        addresses = MetalLb(
            "metallb",
            MetalLbArgs(
                cluster=cluster,
                chart=versions.metallb_chart,
                addresses=balancer.addresses,
                interfaces=balancer.interfaces,
                routers=tuple(routers),
            ),
        )
        ready += addresses.ready
    return tuple(ready)


def _store(settings: Settings, cluster: Cluster, namespace: pulumi.Output[str]) -> ModelStore:
    storage, protect = settings.storage, not settings.ephemeral
    if storage.kind == "gpfs":
        assert storage.gpfs is not None
        gpfs = storage.gpfs
        return GpfsStore(
            "models",
            GpfsStoreArgs(
                cluster=cluster,
                namespace=namespace,
                cluster_id=gpfs.cluster_id,
                filesystem_uid=gpfs.filesystem_uid,
                path=gpfs.path,
                fileset=gpfs.fileset,
                protect=protect,
            ),
        ).store
    assert storage.nfs is not None
    nfs = storage.nfs
    return NfsStore(
        "models",
        NfsStoreArgs(
            cluster=cluster,
            namespace=namespace,
            server=nfs.server,
            path=nfs.path,
            version=nfs.version,
            connections=nfs.connections,
            read_size=nfs.read_size,
            rdma=nfs.rdma,
            protect=protect,
        ),
    ).store


def _route(settings: Settings, dgx: Dgx, cluster: Cluster, platform: Platform) -> pulumi.Output[str]:
    assert settings.gateway.hostname is not None
    return OpenShiftRoute(
        "llm",
        OpenShiftRouteArgs(
            cluster=cluster,
            namespace=platform.system,
            service=platform.public_service,
            port="http" if dgx.openshift.route == "edge" else "https",
            timeout_seconds=settings.limits.request_timeout_seconds,
            hostname=settings.gateway.hostname,
            termination=dgx.openshift.route,
            authority=dgx.openshift.route_ca,
        ),
    ).endpoint
