"""OpenShift's monitoring of user projects: our PodMonitors are read by the cluster's own second Prometheus."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.cluster import Cluster

NAMESPACE, NAME = "openshift-monitoring", "cluster-monitoring-config"


@dataclass(frozen=True, kw_only=True)
class OpenShiftMonitoringArgs:
    """The cluster. Its monitoring is set up by one ConfigMap: where that exists already, it is not this stack's."""

    cluster: Cluster


class OpenShiftMonitoring(pulumi.ComponentResource):
    """The ConfigMap that turns it on."""

    def __init__(self, name: str, args: OpenShiftMonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:OpenShiftMonitoring", name, {}, opts)
        k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata={"name": NAME, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "llmops"}},
            data={"config.yaml": yaml.safe_dump({"enableUserWorkload": True})},
            opts=args.cluster.child(self),
        )
        self.register_outputs({})
