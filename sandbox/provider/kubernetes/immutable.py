"""Which changes need a new object."""

import re

from sandbox.provider.kubernetes.rest import ApiError

ALWAYS = ("kind", "metadata.name", "metadata.namespace")
# The package's documented behaviour: configuration is never changed under a running pod, unless
# enableConfigMapMutable / enableSecretMutable say so (provider documentation of pulumi-kubernetes 4).
CONFIGURATION: dict[str, tuple[str, ...]] = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData", "type"),
}
# Where a dry run cannot tell because values are not known yet (validation of the API types, Kubernetes 1.37).
UNTESTED: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"),
    "Job": ("spec.selector", "spec.template", "spec.completionMode"),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.volumeName", "spec.accessModes"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
}
# The API server's words for it, in the validation of built-in types and in CRDs' own rules.
VERDICT = re.compile(
    r"immutable|may not (be )?change|cannot (be )?change|can ?not be (changed|updated|modified)"
    r"|updates? to .{0,80}(is|are) forbidden|may not change fields other than|is forbidden after creation",
    re.IGNORECASE,
)


def by_rule(kind: str, paths: list[str], *, mutable: bool, tested: bool) -> set[str]:
    """The changed `paths` that force a new object whatever the server says."""
    rules: list[str] = [*ALWAYS]
    if not mutable:
        rules += CONFIGURATION.get(kind, ())
    if not tested:
        rules += UNTESTED.get(kind, ())
    return {path for path in paths if any(_under(path, rule) for rule in rules)}


def by_verdict(error: ApiError, paths: list[str]) -> set[str]:
    """The changed paths that the API server refuses because the field is immutable; empty for other refusals."""
    if error.code != 422:
        return set()
    causes = [c for c in error.causes if VERDICT.search(c.get("message", ""))]
    if not causes and not VERDICT.search(error.message):
        return set()
    fields = [re.sub(r"\[\d+\]", "", c.get("field", "")) for c in causes]
    named = {p for p in paths if any(f and (_under(p, f) or _under(f, p)) for f in fields)}
    # "spec: Forbidden: updates to statefulset spec ..." names no field of ours: the whole change is refused.
    return named or set(paths)


def _under(path: str, rule: str) -> bool:
    return path == rule or path.startswith((f"{rule}.", f"{rule}["))
