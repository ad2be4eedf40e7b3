"""What every pod of ours has in common: it passes Pod Security `restricted` and leaves without dropping requests."""

from pulumi_kubernetes.core.v1 import PodSecurityContextArgsDict, ProbeArgsDict, SecurityContextArgsDict

from components.cluster import Cluster

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
RESTRICTED_CONTAINER: SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED_NAMESPACE = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}
# For what others run: drivers, device plugins, speakers of the node's network. No pod of ours is in such a namespace.
PRIVILEGED_NAMESPACE = {
    "pod-security.kubernetes.io/enforce": "privileged",
    "pod-security.kubernetes.io/warn": "privileged",
}
USER = 65532  # "nonroot" of the distroless images; ours are built to run as any user


def restricted_pod(cluster: Cluster) -> PodSecurityContextArgsDict:
    """The pod's security context on `cluster`.

    OpenShift's restricted-v2 gives each namespace a range of user ids and refuses a pod that names one outside it, so
    there it names none. Everywhere else a pod without one would run as its image's user, which may be root.
    """
    context: PodSecurityContextArgsDict = {
        "run_as_non_root": True,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }
    if cluster.arbitrary_uids:
        return context
    return {**context, "run_as_user": USER, "run_as_group": USER, "fs_group": USER}


def probe(path: str, port: int, *, period: int, failures: int, timeout: int = 2) -> ProbeArgsDict:
    """An HTTP probe: every `period` seconds, giving up after `failures` in a row."""
    return {
        "http_get": {"path": path, "port": port},
        "period_seconds": period,
        "failure_threshold": failures,
        "timeout_seconds": timeout,
    }
