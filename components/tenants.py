"""The tenants: one API key each, kept in the stack's encrypted state and in one Secret of the cluster."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.cluster import Cluster
from components.labels import labels


@dataclass(frozen=True, kw_only=True)
class TenantKeysArgs:
    """`versions` is tenant → key version; raising a version gives that tenant a new key.

    `given` holds keys that the stack brings itself; the others are made once and stay.
    """

    cluster: Cluster
    namespace: pulumi.Input[str]
    versions: dict[str, int]
    given: pulumi.Input[dict[str, str]] | None = None


class TenantKeys(pulumi.ComponentResource):
    """Every tenant's API key. `keys` is the secret map of tenant → key."""

    keys: pulumi.Output[dict[str, str]]
    secret_name: pulumi.Output[str]

    def __init__(self, name: str, args: TenantKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:TenantKeys", name, {}, opts)
        made = {
            tenant: random.RandomPassword(
                f"{name}-{tenant}",
                length=40,  # letters and digits: 238 bits
                special=False,
                keepers={"version": str(version)},
                opts=pulumi.ResourceOptions(parent=self),
            ).result.apply(lambda key: f"sk-{key}")
            for tenant, version in args.versions.items()
        }
        given = pulumi.Output.from_input(args.given or {})
        self.keys = pulumi.Output.secret(
            pulumi.Output.all(made=made, given=given).apply(
                lambda both: {**both["made"], **{t: k for t, k in both["given"].items() if t in both["made"]}}
            )
        )
        secret = k8s.core.v1.Secret(
            f"{name}-secret",
            metadata={"name": name, "namespace": args.namespace, "labels": labels("tenant-keys", name)},
            string_data=self.keys,
            opts=args.cluster.child(self),
        )
        self.secret_name = secret.metadata.apply(lambda meta: str(meta.name))
        self.register_outputs({"keys": self.keys})
