"""All rules, in the order in which a preview lists them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy import ceilings, encryption, identity, pods, public, stores, tags
from policy.resource import Resource
from policy.rule import Limits, Rule, StackRule
from stacks.settings import Settings

RULES = (
    Rule(name="no-public-buckets", description="No bucket can be read by everybody.", check=public.buckets),
    Rule(name="no-public-endpoints", description="Nothing but the gateway answers everybody.", check=public.endpoints),
    Rule(
        name="encrypted",
        description="Disks, file systems, secrets: encrypted, by keys that rotate.",
        check=encryption.at_rest,
    ),
    Rule(name="node-metadata", description="Pods cannot take their node's identity.", check=encryption.node_metadata),
    Rule(name="no-wildcards", description="Rights name what they allow, and on what.", check=identity.wildcards),
    Rule(name="restricted-pods", description="Pods keep to Pod Security `restricted`.", check=pods.restricted),
    Rule(name="named-images", description="Images name a version; in production a digest.", check=pods.images),
    Rule(name="gpu-pods", description="Pods take GPUs on purpose, and say how many.", check=pods.gpus),
    Rule(name="tagged", description="Everything says which stack it belongs to.", check=tags.required),
    Rule(name="protected-stores", description="What holds models outlives mistakes.", check=stores.protected),
)
STACK_RULES = (
    StackRule(name="blocked-buckets", description="Every S3 bucket blocks public access.", check=public.blocked),
    StackRule(
        name="encrypted-buckets",
        description="Every S3 bucket says how it is encrypted.",
        check=encryption.buckets_at_rest,
    ),
    StackRule(name="gpu-ceiling", description="No more GPUs than guards.maxGpus.", check=ceilings.gpus),
    StackRule(
        name="cost-ceiling", description="No more a month than guards.maxMonthlyCost.", check=ceilings.monthly_cost
    ),
)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong, as a sentence."""

    rule: str
    urn: str
    text: str


def limits(settings: Settings) -> Limits:
    """What a stack's settings allow."""
    return Limits(
        max_gpus=settings.guards.max_gpus,
        max_monthly_cost=settings.guards.max_monthly_cost,
        require_digests=settings.images.require_digests,
        ephemeral=settings.ephemeral,
        tainted=bool({"eks", "gke"}.intersection(settings.targets)),
    )


def violations(resources: Sequence[Resource], allowed: Limits) -> Iterator[Violation]:
    """Everything that is wrong with a stack."""
    for rule in RULES:
        for resource in resources:
            for text in rule.check(resource, allowed):
                yield Violation(rule=rule.name, urn=resource.urn, text=text)
    for rule in STACK_RULES:
        for urn, text in rule.check(resources, allowed):
            yield Violation(rule=rule.name, urn=urn, text=text)
