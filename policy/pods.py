"""Pods keep to Pod Security `restricted`, run named images, and get onto GPUs on purpose."""

import re
from collections.abc import Iterator
from typing import Any

from policy.resource import UNKNOWN, Props, Resource, at, known_false, maps, words
from policy.rule import Limits

# Where a pod's specification lies, by the kind of what makes the pods.
TEMPLATES = {
    "kubernetes:core/v1:Pod": ("spec",),
    "kubernetes:apps/v1:Deployment": ("spec.template.spec",),
    "kubernetes:apps/v1:StatefulSet": ("spec.template.spec",),
    "kubernetes:apps/v1:DaemonSet": ("spec.template.spec",),
    "kubernetes:batch/v1:Job": ("spec.template.spec",),
    "kubernetes:batch/v1:CronJob": ("spec.jobTemplate.spec.template.spec",),
    "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet": (
        "spec.leaderWorkerTemplate.leaderTemplate.spec",
        "spec.leaderWorkerTemplate.workerTemplate.spec",
    ),
    "kubernetes:argoproj.io/v1alpha1:Rollout": ("spec.template.spec",),
}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
ALLOWED_VOLUMES = {  # Pod Security `restricted`: "Volume Types"
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
ENFORCE = "pod-security.kubernetes.io/enforce"
# Namespaces whose pods must touch the node, each with its reason.
PRIVILEGED_NAMESPACES = {
    "gpu-operator": "loads drivers and writes the container runtime's configuration",
    "nvidia-gpu-operator": "the same on OpenShift, under the name that its OperatorHub entry asks for",
    "metallb-system": "answers ARP and speaks BGP on the nodes' own network",
    "nvidia-network-operator": "loads network drivers",
    "network-operator": "loads network drivers",
    "openshift-nfd": "reads the node's hardware",
    "node-feature-discovery": "reads the node's hardware",
    "ibm-spectrum-scale": "mounts the file system",
    "ibm-spectrum-scale-csi": "mounts the file system",
    "kube-system": "not ours: the cluster's own",
}
DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
GPU = re.compile(r"nvidia\.com/(gpu|mig-.+)(\.shared)?")


def specifications(resource: Resource) -> Iterator[Props]:
    """The specification of every pod that a resource makes."""
    for path in TEMPLATES.get(resource.type, ()):
        yield from maps(at(resource.props, path))


def containers(pod: Props) -> Iterator[Props]:
    """All containers of a pod."""
    for kind in CONTAINERS:
        yield from maps(pod.get(kind))


def restricted(resource: Resource, _limits: Limits) -> Iterator[str]:
    """Pod Security `restricted`, checked before the API server does.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    if resource.type == "kubernetes:core/v1:Namespace":
        yield from _namespace(resource.props)
        return
    if at(resource.props, "metadata.namespace") in PRIVILEGED_NAMESPACES:
        return
    for pod in specifications(resource):
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if not known_false(pod.get(key)) and pod.get(key) is not UNKNOWN:
                yield f"{key} is set; leave it out"
        for volume in maps(pod.get("volumes")):
            for kind in sorted(set(volume) - {"name"} - ALLOWED_VOLUMES):
                yield f"volume {volume.get('name')} is a {kind}; use a claim, a ConfigMap, a Secret or an emptyDir"
        for container in containers(pod):
            yield from _container(pod, container)


def _namespace(props: Props) -> Iterator[str]:
    name, level = at(props, "metadata.name"), at(props, "metadata.labels")
    if UNKNOWN in (name, level) or name in PRIVILEGED_NAMESPACES:
        return
    enforced = level.get(ENFORCE) if isinstance(level, dict) else None
    if enforced not in ("restricted", UNKNOWN):
        yield f"namespace {name} enforces {enforced or 'nothing'}; label it {ENFORCE}: restricted"


def _container(pod: Props, container: Props) -> Iterator[str]:
    name = container.get("name")

    def setting(key: str) -> Any:
        own = at(container, f"securityContext.{key}")
        return at(pod, f"securityContext.{key}") if own is None else own

    if known_false(setting("runAsNonRoot")):
        yield f"container {name} may run as root; set runAsNonRoot"
    if at(setting("seccompProfile"), "type") not in ("RuntimeDefault", "Localhost", UNKNOWN):
        yield f"container {name} has no seccomp profile; set RuntimeDefault"
    if at(container, "securityContext.allowPrivilegeEscalation") not in (False, UNKNOWN):
        yield f"container {name} may gain rights; set allowPrivilegeEscalation to false"
    dropped = at(container, "securityContext.capabilities.drop")
    if dropped is not UNKNOWN and "ALL" not in words(dropped):
        yield f"container {name} keeps capabilities; drop ALL"
    added = set(words(at(container, "securityContext.capabilities.add"))) - {"NET_BIND_SERVICE"}
    if added:
        yield f"container {name} adds {', '.join(sorted(added))}; leave them out"
    if not known_false(at(container, "securityContext.privileged")):
        yield f"container {name} is privileged; leave it out"
    for port in maps(container.get("ports")):
        if port.get("hostPort"):
            yield f"container {name} takes port {port['hostPort']} of the node; use a Service"


def images(resource: Resource, limits: Limits) -> Iterator[str]:
    """Every image names its version; in production (`images.requireDigests`) its content."""
    for pod in specifications(resource):
        for container in containers(pod):
            image = container.get("image")
            if not isinstance(image, str):
                continue
            name, last = container.get("name"), image.rpartition("/")[2]
            if limits.require_digests and not DIGEST.fullmatch(image):
                yield f"container {name} runs {image} by a tag; name its digest (@sha256:…)"
            elif "@" not in image and (":" not in last or last.endswith(":latest")):
                yield f"container {name} runs {image}, which is another one tomorrow; name a version"


def gpus(resource: Resource, limits: Limits) -> Iterator[str]:
    """A pod that takes GPUs limits them and its memory, and tolerates the taint that keeps others off their nodes."""
    for pod in specifications(resource):
        taking = [c for c in containers(pod) if _gpus(c)]
        for container in taking:
            if not at(container, "resources.limits.memory"):
                yield f"container {container.get('name')} takes GPUs without a memory limit; set limits.memory"
        tolerations = pod.get("tolerations")
        if tolerations is UNKNOWN:
            continue
        tolerated = any(_tolerates(t) for t in maps(tolerations))
        if taking and limits.tainted and not tolerated:
            yield "takes GPUs but does not tolerate nvidia.com/gpu, so it fits no GPU node; add the toleration"
        if not taking and tolerated and resource.type != "kubernetes:apps/v1:DaemonSet":
            yield "may run on GPU nodes but takes no GPU; remove the toleration, or set the GPU limit"


def _gpus(container: Props) -> bool:
    limits = at(container, "resources.limits")
    return isinstance(limits, dict) and any(GPU.fullmatch(str(key)) for key in limits)


def _tolerates(toleration: Props) -> bool:
    return toleration.get("key") == "nvidia.com/gpu" or (
        not toleration.get("key") and toleration.get("operator") == "Exists"
    )
