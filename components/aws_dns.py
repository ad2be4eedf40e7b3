"""The public name of the gateway, in Route 53."""

import pulumi
import pulumi_aws as aws


def alias_record(
    name: str,
    *,
    zone_id: str,
    hostname: str,
    load_balancer: pulumi.Input[str],
    provider: pulumi.ProviderResource,
) -> aws.route53.Record:
    """An alias of a network load balancer's name: free to ask, valid at a zone's apex, and gone before the balancer."""
    balancers = aws.lb.get_hosted_zone_id_output(
        load_balancer_type="network", opts=pulumi.InvokeOutputOptions(provider=provider)
    )
    return aws.route53.Record(
        name,
        zone_id=zone_id,
        name=hostname,
        type="A",
        aliases=[{"name": load_balancer, "zone_id": balancers.id, "evaluate_target_health": True}],
        opts=pulumi.ResourceOptions(provider=provider),
    )
