"""Other projects' controllers, from their official charts at pinned versions."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.chart_pin import Chart
from components.cluster import Cluster


def release(
    resource_name: str,
    chart: Chart,
    *,
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    namespace: pulumi.Input[str],
    values: dict[str, Any],
    depends_on: Sequence[pulumi.Resource] = (),
    timeout: int = 600,
    check_values: bool = True,
) -> k8s.helm.v3.Release:
    """Install `chart` as the Helm release `name`; waits until its workloads are ready, `timeout` seconds at most.

    `check_values` off: helm sends the objects without comparing them to the API's schema first, which a chart needs
    whose own hook upgrades the CRDs that its objects are written for.
    """
    return k8s.helm.v3.Release(
        resource_name,
        name=name,
        chart=chart.name,
        version=chart.version,
        repository_opts={"repo": chart.repository} if chart.repository else None,
        namespace=namespace,
        timeout=timeout,
        disable_openapi_validation=None if check_values else True,
        values=values,
        opts=cluster.child(parent, depends_on=list(depends_on)),
    )
