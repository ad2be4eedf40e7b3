"""What every pod of ours has in common: it passes Pod Security `restricted` and leaves without dropping requests."""

from pulumi_kubernetes.core.v1 import PodSecurityContextArgsDict, ProbeArgsDict, SecurityContextArgsDict

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
RESTRICTED_CONTAINER: SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED_POD: PodSecurityContextArgsDict = {
    "run_as_non_root": True,
    "run_as_user": 65532,
    "run_as_group": 65532,
    "fs_group": 65532,
    "seccomp_profile": {"type": "RuntimeDefault"},
}
RESTRICTED_NAMESPACE = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


def probe(path: str, port: int, *, period: int, failures: int, timeout: int = 2) -> ProbeArgsDict:
    """An HTTP probe: every `period` seconds, giving up after `failures` in a row."""
    return {
        "http_get": {"path": path, "port": port},
        "period_seconds": period,
        "failure_threshold": failures,
        "timeout_seconds": timeout,
    }
