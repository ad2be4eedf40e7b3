"""The pack as the engine starts it: `pulumi preview --policy-pack policy`. Every rule is mandatory."""

import functools
import sys
from pathlib import Path
from typing import Any

# The engine runs this file by its path; the rules' own imports start at the repository's root.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy.catalogue import RULES, STACK_RULES, limits
from policy.resource import Resource, plain
from policy.rule import Limits, Rule, StackRule
from stacks import stackfile


def resource_of(args: ResourceValidationArgs | PolicyResource) -> Resource:
    """The SDK's view of a resource as ours."""
    sources: dict[str, tuple[str, ...]] = {}
    if isinstance(args, PolicyResource):
        sources = {key: tuple(r.urn for r in found) for key, found in args.property_dependencies.items()}
    return Resource(
        type=args.resource_type,
        props=plain(args.props),
        name=args.name,
        urn=args.urn,
        protect=bool(args.opts.protect),
        provider=plain(args.provider.props) if args.provider else {},
        sources=sources,
    )


@functools.cache
def allowed(stack: str) -> Limits:
    """What a stack's settings allow. Its file is read: the policy SDK does not pass the configuration on (1.21.0)."""
    return limits(stackfile.read(stack))


def stack_of(urn: str) -> str:
    """The stack in a URN, `urn:pulumi:<stack>::<project>::…`."""
    return urn.removeprefix("urn:pulumi:").partition("::")[0]


def policy(rule: Rule) -> ResourceValidationPolicy:
    """A rule as the SDK wants it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for text in rule.check(resource_of(args), allowed(stack_of(args.urn))):
            report(text, None)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def stack_policy(rule: StackRule) -> StackValidationPolicy:
    """A rule about a stack as the SDK wants it."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [resource_of(r) for r in args.resources]
        if resources:
            for urn, text in rule.check(resources, allowed(stack_of(resources[0].urn))):
                report(text, urn or None)

    return StackValidationPolicy(rule.name, rule.description, validate)


if __name__ == "__main__":
    policies: list[Any] = [*map(policy, RULES), *map(stack_policy, STACK_RULES)]
    PolicyPack("llmops", policies, EnforcementLevel.MANDATORY)  # serves until the engine ends
