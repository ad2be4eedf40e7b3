"""GKE: a cluster is a control plane of the sandbox, a node pool nodes in it."""

import base64
from collections.abc import Iterator
from typing import Any

from sandbox.provider.cloud import paths, versions
from sandbox.provider.cloud.behaviours import Behaviour, Work
from sandbox.provider.cloud.behaviours.nodes import address, machine, spread, taints
from sandbox.provider.cloud.clusters import Node, Taint, control_planes
from sandbox.provider.cloud.store import Object
from sandbox.provider.contract import Failure, ProviderError
from sandbox.provider.values import UNKNOWN, Properties

CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
GPU_TAINT: Taint = ("nvidia.com/gpu", "present", "NoSchedule")
ZONES = "abc"  # of a region, where no zone is named


class Cluster(Behaviour):
    """Starts with its object and goes with it."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        if fault := versions.fault("gke", inputs.get("minMasterVersion")):
            yield Failure("minMasterVersion", fault)
        if inputs.get("nodePools"):
            yield Failure("nodePools", "have no rule in the stand-in: declare each as a container.NodePool.")
        if not inputs.get("enableAutopilot") and inputs.get("initialNodeCount") is None:
            yield Failure("initialNodeCount", "must be set: GKE makes a default pool, removeDefaultNodePool or not.")

    def create(self, work: Work) -> None:
        given = work.properties
        channel = str(paths.first(given, "releaseChannel.channel") or "REGULAR")
        minor = given.get("minMasterVersion") or versions.table()["gke"]["channels"][channel]
        given["masterVersion"] = versions.full(str(minor))
        if not work.task.preview:
            work.task.status("starting the pretended cluster's control plane")
        _expose(work)
        if not work.task.preview and not given.get("removeDefaultNodePool") and not given.get("enableAutopilot"):
            config: Any = given.get("nodeConfig") or {}
            count = int(given.get("initialNodeCount") or 1)
            _register(work, given, "default-pool", {"nodeConfig": config, "nodeCount": count}, [])

    def update(self, work: Work, old: Object) -> None:
        wanted, now = work.properties.get("minMasterVersion"), str(old.properties.get("masterVersion"))
        newer = wanted is not None and (versions.minor(wanted) or 0) > (versions.minor(now) or 0)
        if newer and (fault := versions.step(now, wanted)):
            raise ProviderError(f"FAILED_PRECONDITION: the control plane cannot go from {fault}.")
        work.properties["masterVersion"] = versions.full(str(wanted)) if newer else now
        _expose(work)

    def delete(self, work: Work, old: Object) -> str:
        if old.properties.get("deletionProtection"):
            raise ProviderError(
                f"Cannot destroy cluster {old.properties['name']} because deletionProtection is true: set it to false "
                "and run an update first."
            )
        control_planes().delete(str(old.properties["name"]))
        return ""


class NodePool(Behaviour):
    """As many nodes as the pool may grow to: its autoscaler is taken as having done its work."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        scaling: Any = inputs.get("autoscaling")
        if isinstance(scaling, dict):
            if inputs.get("nodeCount") is not None:
                yield Failure("nodeCount", "conflicts with autoscaling, which sets it: use initialNodeCount.")
            zonal = {"minNodeCount", "maxNodeCount"} & scaling.keys()
            if zonal and {"totalMinNodeCount", "totalMaxNodeCount"} & scaling.keys():
                yield Failure("autoscaling", "total counts and counts a zone cannot be mixed.")
        yield from _gpus(inputs)

    def creating(self, work: Work) -> None:
        machine("gke", paths.first(work.properties, "nodeConfig.machineType") or "e2-medium")

    def create(self, work: Work) -> None:
        cluster = _cluster(work)
        if cluster is None:
            return  # in a preview
        name = work.properties["name"]
        work.properties.setdefault("version", cluster.properties.get("masterVersion"))
        zones = _zones(work.properties, cluster)
        groups = [
            f"projects/{work.properties['project']}/zones/{zone}/instanceGroupManagers/gke-{name}" for zone in zones
        ]
        prefix = "https://www.googleapis.com/compute/v1/"
        work.properties["instanceGroupUrls"] = [prefix + group for group in groups]
        urls = [prefix + group.replace("instanceGroupManagers", "instanceGroups") for group in groups]
        work.properties["managedInstanceGroupUrls"] = urls
        if work.properties.get("nodeCount") is None:
            work.properties["nodeCount"] = int(work.properties.get("initialNodeCount") or 0)
        if not work.task.preview:
            self._set(work, cluster)

    def update(self, work: Work, old: Object) -> None:
        work.properties["version"] = work.properties.get("version") or old.properties.get("version")
        if (cluster := _cluster(work)) is not None:
            self._set(work, cluster)

    def delete(self, work: Work, old: Object) -> str:
        if (cluster := _cluster(work)) is not None:
            name = str(cluster.properties["name"])
            control_planes().set_nodes(name, str(old.properties["name"]), "gke", [])
        return ""

    def _set(self, work: Work, cluster: Object) -> None:
        given: Properties = work.properties
        others = [p for p in work.store.objects(POOL) if p.id != work.identifier and _cluster_of(p) == cluster.id]
        _register(work, cluster.properties, str(given["name"]), given, others)


def _register(work: Work, cluster: Properties, pool: str, given: Properties, others: list[Object]) -> None:
    made = nodes(cluster, pool, given, tainted=any(not _accelerators(other.properties) for other in others))
    work.task.status(f"registering {len(made)} pretended nodes")
    control_planes().set_nodes(str(cluster["name"]), pool, "gke", made)


def nodes(cluster: Properties, pool: str, given: Properties, *, tainted: bool) -> list[Node]:
    """The nodes of a pool, with the labels and taints that GKE gives them by itself.

    cloud.google.com/kubernetes-engine/docs/concepts/nodes-of-a-cluster, …/how-to/gpus. A pool with GPUs is tainted
    where the cluster has a pool without.
    """
    config: Any = given.get("nodeConfig") or {}
    type = machine("gke", config.get("machineType") or "e2-medium")
    location = str(cluster["location"])
    zones = list(given.get("nodeLocations") or cluster.get("nodeLocations") or []) or zones_of(location)
    region = location if location.count("-") == 1 else location.rpartition("-")[0]
    labels = {
        "cloud.google.com/gke-nodepool": pool,
        "cloud.google.com/gke-os-distribution": "ubuntu" if "UBUNTU" in str(config.get("imageType")) else "cos",
        "cloud.google.com/machine-family": type.partition("-")[0],
        "cloud.google.com/gke-provisioning": "spot" if config.get("spot") else "standard",
        "node.kubernetes.io/instance-type": type,
        "topology.kubernetes.io/region": region,
    }
    marks = taints(config.get("taints"))
    if accelerators := _accelerators(given):
        labels["cloud.google.com/gke-accelerator"] = str(accelerators[0]["type"])
        if tainted and not any(key == GPU_TAINT[0] for key, _, _ in marks):
            marks.append(GPU_TAINT)
    for flag, label in (("spot", "gke-spot"), ("flexStart", "gke-flex-start"), ("preemptible", "gke-preemptible")):
        if config.get(flag):
            labels[f"cloud.google.com/{label}"] = "true"
    if paths.first(config, "ephemeralStorageLocalSsdConfig.localSsdCount"):
        labels["cloud.google.com/gke-ephemeral-storage-local-ssd"] = "true"
    if (config.get("workloadMetadataConfig") or {}).get("mode") == "GKE_METADATA":
        labels["iam.gke.io/gke-metadata-server-enabled"] = "true"
    labels |= config.get("labels") or {}
    made: list[Node] = []
    for index, zone in spread(size(given, len(zones)), zones):
        suffix = address(str(cluster["name"]), pool, index).replace(".", "")
        made.append(
            Node(
                name=f"gke-{str(cluster['name'])[:20]}-{pool[:20]}-{suffix}",
                machine=type,
                labels={**labels, "topology.kubernetes.io/zone": zone},
                taints=marks,
            )
        )
    return made


def size(given: Properties, zones: int) -> int:
    """How many nodes a pool may have, over all its zones."""
    scaling: Any = given.get("autoscaling") or {}
    if total := scaling.get("totalMaxNodeCount"):
        return int(total)
    count = scaling.get("maxNodeCount") or given.get("nodeCount") or given.get("initialNodeCount") or 0
    return int(count) * max(1, zones)


def zones_of(location: str) -> list[str]:
    """The zones of a region, or the zone itself."""
    return [f"{location}-{letter}" for letter in ZONES] if location.count("-") == 1 else [location]


def _zones(given: Properties, cluster: Object) -> list[str]:
    own = given.get("nodeLocations") or cluster.properties.get("nodeLocations")
    return list(own or zones_of(str(cluster.properties["location"])))


def _accelerators(given: Properties) -> list[dict[str, Any]]:
    return list((given.get("nodeConfig") or {}).get("guestAccelerators") or [])


def _gpus(inputs: Properties) -> Iterator[Failure]:
    """A GPU machine type has its accelerators built in: GKE refuses others, and another number of them."""
    from stacks import machines

    config: Any = inputs.get("nodeConfig")
    if not isinstance(config, dict):
        return
    known = machines.GCP.get(str(config.get("machineType")))
    if known is None or not known.gpus:
        return
    for index, accelerator in enumerate(config.get("guestAccelerators") or []):
        kind, count = accelerator.get("type"), accelerator.get("count")
        if UNKNOWN not in (kind, count) and (kind, count) != (known.accelerator, known.gpus):
            yield Failure(
                f"nodeConfig.guestAccelerators[{index}]",
                f"{known.name} comes with {known.gpus} {known.accelerator}, not with {count} {kind}.",
            )


def _cluster_of(pool: Object) -> str:
    given = pool.properties
    name = str(given.get("cluster")).rpartition("/")[2]
    return f"projects/{given.get('project')}/locations/{given.get('location')}/clusters/{name}"


def _cluster(work: Work) -> Object | None:
    """The pool's cluster, by name or id."""
    wanted = str(work.properties.get("cluster"))
    for item in work.store.objects(CLUSTER):
        if wanted in (item.id, item.properties.get("name")) or wanted.endswith(f"/{item.id}"):
            return item
    return None


def _expose(work: Work) -> None:
    found = control_planes().create(str(work.properties["name"]), "gke")
    # GKE's endpoint is an address; programs put https:// before it.
    work.properties["endpoint"] = found.server.removeprefix("https://")
    own: Any = work.properties.get("masterAuth")
    work.properties["masterAuth"] = {
        **(own if isinstance(own, dict) else {}),
        "clusterCaCertificate": base64.b64encode(found.ca_pem).decode(),
        "clientCertificate": "",
        "clientKey": "",
    }
