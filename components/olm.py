"""An operator of OpenShift's OperatorHub, installed by the Operator Lifecycle Manager."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s

from components.cluster import Cluster
from components.custom import custom
from components.labels import PART_OF

MARKETPLACE = "openshift-marketplace"
# A manual approval is a person's, and a driver's first build takes its time.
PATIENCE = pulumi.CustomTimeouts(create="60m", update="60m")


@dataclass(frozen=True, kw_only=True)
class OlmOperatorArgs:
    """A package and its channel. With `Manual` approval every version waits for somebody to approve its install plan.

    `starting_csv` is the first version that is installed; none: the channel's newest.
    """

    cluster: Cluster
    namespace: str
    package: str
    source: Literal["redhat-operators", "certified-operators"]
    channel: str
    approval: Literal["Automatic", "Manual"]
    starting_csv: str | None = None
    namespace_labels: dict[str, str] = field(default_factory=dict[str, str])


class OlmOperator(pulumi.ComponentResource):
    """Namespace, OperatorGroup and Subscription. `subscription` resolves when the operator is installed."""

    namespace: pulumi.Output[str]
    subscription: k8s.apiextensions.CustomResource

    def __init__(self, name: str, args: OlmOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:OlmOperator", name, {}, opts)
        self.namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.namespace,
                "labels": {"app.kubernetes.io/part-of": PART_OF, **args.namespace_labels},
            },
            opts=args.cluster.child(self),
        ).metadata.apply(lambda meta: str(meta.name))
        group = custom(
            "operators.coreos.com/v1",
            "OperatorGroup",
            args.package,
            namespace=self.namespace,
            resource_name=f"{name}-group",
            spec={"targetNamespaces": [self.namespace]},
            opts=args.cluster.child(self),
        )
        spec: dict[str, Any] = {
            "name": args.package,
            "source": args.source,
            "sourceNamespace": MARKETPLACE,
            "channel": args.channel,
            "installPlanApproval": args.approval,
        }
        self.subscription = custom(
            "operators.coreos.com/v1alpha1",
            "Subscription",
            args.package,
            namespace=self.namespace,
            resource_name=f"{name}-subscription",
            spec={**spec, "startingCSV": args.starting_csv} if args.starting_csv else spec,
            # What it installs brings the kinds that follow.
            annotations={"pulumi.com/waitFor": "jsonpath={.status.installedCSV}"},
            opts=args.cluster.child(self, depends_on=[group], custom_timeouts=PATIENCE),
        )
        self.register_outputs({})
