"""Subscriptions of OpenShift's Operator Lifecycle Manager."""

from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.rest import Json


def subscription(_cluster: Cluster, live: Json) -> str | None:
    """Ready when the operator is installed at the newest version of its channel, or at the one that was asked for."""
    status, spec = live.get("status") or {}, live.get("spec") or {}
    installed = status.get("installedCSV")
    if installed and (status.get("state") == "AtLatestKnown" or installed == spec.get("startingCSV")):
        return None
    plan = (status.get("installPlanRef") or {}).get("name")
    if plan and spec.get("installPlanApproval") == "Manual":
        return f"somebody to approve the install plan {plan}"
    return f"the operator {spec.get('name')} to be installed: state {status.get('state') or 'unknown'}"
