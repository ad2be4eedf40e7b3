"""The GKE stack: everything from the network to the models, top to bottom."""

from datetime import datetime, timedelta

import pulumi
import pulumi_gcp as gcp
from pulumi_gcp import secretmanager

from components.filestore_store import FilestoreShare, FilestoreShareArgs, FilestoreStore, FilestoreStoreArgs
from components.gcp_address import GcpAddress, GcpAddressArgs
from components.gcp_network import GcpNetwork, GcpNetworkArgs
from components.gcp_project import gcp_project
from components.gcs_store import GcsBucket, GcsBucketArgs, GcsStore, GcsStoreArgs
from components.gke_cluster import GkeCluster, GkeClusterArgs
from components.gke_pools import GpuPool, SystemPool
from components.naming import Naming
from stacks.machines import GCP
from stacks.platform import Platform
from stacks.schema.gke import Gke, GpuNodePool, Maintenance
from stacks.settings import Settings
from stacks.tenant_keys import tenant_keys


def build(settings: Settings) -> None:
    """Wire the GKE stack. Outputs: `endpoint`, `apiKeys` (secret), `cluster`, and the model store's place."""
    gke = settings.gke
    assert gke is not None  # the settings have checked it
    naming = Naming(stack=pulumi.get_stack(), ephemeral=settings.ephemeral)
    google = gcp.Provider("google", project=gke.project, region=gke.region)
    on_google = pulumi.ResourceOptions(provider=google)
    asking = pulumi.InvokeOptions(provider=google)
    project = gcp_project(gke.project, asking)
    network = GcpNetwork(
        "network",
        GcpNetworkArgs(
            naming=naming,
            region=gke.region,
            nodes_cidr=gke.nodes_cidr,
            pods_cidr=gke.pods_cidr,
            services_cidr=gke.services_cidr,
            control_plane_cidr=gke.control_plane_cidr,
        ),
        on_google,
    )
    address = GcpAddress(
        "gateway",
        GcpAddressArgs(
            naming=naming,
            region=gke.region,
            network=network,
            internal=settings.gateway.internal,
            hostname=settings.gateway.hostname,
            zone=settings.gateway.dns_zone,
        ),
        on_google,
    )
    cluster = GkeCluster(
        "gke",
        GkeClusterArgs(
            naming=naming,
            project=project,
            region=gke.region,
            network=network,
            control_plane_cidr=gke.control_plane_cidr,
            authorized_networks=gke.authorized_networks,
            dns_endpoint=gke.dns_endpoint,
            release_channel=gke.release_channel,
            min_version=gke.min_version,
            window=_window(gke.maintenance),
            kms_key=gke.kms_key,
            deletion_protection=gke.deletion_protection and not settings.ephemeral,
            system=SystemPool(
                machine_type=gke.system_nodes.machine_type, min=gke.system_nodes.min, max=gke.system_nodes.max
            ),
            pools=tuple(_pool(pool) for pool in gke.node_pools),
            service_annotations=address.annotations,
        ),
        on_google,
    ).cluster
    platform = Platform(settings, cluster, _tenant_keys(settings, gke, asking))
    if settings.storage.kind == "filestore":
        share = FilestoreShare(
            "models-share",
            FilestoreShareArgs(
                naming=naming,
                project=project,
                network=network,
                location=_share_location(gke),
                tier=gke.filestore.tier,
                capacity_gib=gke.filestore.capacity_gib,
                kms_key=gke.kms_key,
                ephemeral=settings.ephemeral,
            ),
            on_google,
        )
        store = FilestoreStore(
            "models", FilestoreStoreArgs(cluster=cluster, namespace=platform.namespace, share=share), on_google
        ).store
        pulumi.export("modelStore", pulumi.Output.concat(share.address, ":/models"))
    else:
        bucket = GcsBucket(
            "models",
            GcsBucketArgs(
                naming=naming,
                project=project,
                region=gke.region,
                kms_key=gke.kms_key,
                noncurrent_days=gke.noncurrent_days,
                ephemeral=settings.ephemeral,
            ),
            on_google,
        )
        store = GcsStore(
            "models-reader",
            GcsStoreArgs(cluster=cluster, namespace=platform.namespace, project=project, bucket=bucket),
            on_google,
        ).store
        pulumi.export("modelStore", pulumi.Output.concat("gs://", bucket.bucket.name, "/models"))
    platform.serve(store)
    pulumi.export("cluster", cluster.name)
    pulumi.export("endpoint", platform.endpoint)
    pulumi.export("apiKeys", platform.api_keys)


def _tenant_keys(settings: Settings, gke: Gke, asking: pulumi.InvokeOptions) -> pulumi.Output[dict[str, str]] | None:
    """The tenants' keys, where Secret Manager keeps them."""

    def read(secret: str) -> pulumi.Output[str]:
        return secretmanager.get_secret_version_output(secret=secret, project=gke.project, opts=asking).secret_data

    return tenant_keys(settings, read)


def _pool(pool: GpuNodePool) -> GpuPool:
    machine = GCP[pool.machine_type]
    return GpuPool(
        name=pool.name,
        machine_type=pool.machine_type,
        accelerator=machine.accelerator,
        gpus=machine.gpus,
        capacity=pool.capacity,
        reservation=pool.reservation,
        min=pool.min,
        max=pool.max,
        zones=pool.zones,
        compact_placement=pool.compact_placement,
        local_ssds=machine.local_ssds if pool.local_ssd else 0,
        driver=pool.driver,
        disk_gib=pool.disk_gib,
    )


# A Monday: the first window is the first of the named days after it.
FIRST_WINDOW = "2026-01-05"


def _window(maintenance: Maintenance) -> tuple[str, str, str]:
    start = datetime.fromisoformat(f"{FIRST_WINDOW}T{maintenance.start}:00")
    end = start + timedelta(hours=maintenance.hours)
    return f"{start.isoformat()}Z", f"{end.isoformat()}Z", f"FREQ=WEEKLY;BYDAY={','.join(maintenance.days)}"


def _share_location(gke: Gke) -> str:
    if gke.filestore.tier == "REGIONAL":
        return gke.region
    return gke.filestore.zone or f"{gke.region}-a"
