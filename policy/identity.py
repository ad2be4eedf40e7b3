"""Rights are named one by one."""

from collections.abc import Iterator
from typing import Any

from policy.public import statements
from policy.resource import Resource, maps, words
from policy.rule import Limits

POLICIES = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
}
# AWS' own policies that allow everything, or everything of a service that holds data.
BROAD_AWS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess", "AmazonS3FullAccess", "AmazonEC2FullAccess")
BROAD_GCP = {"roles/owner", "roles/editor", "roles/storage.admin", "roles/container.admin"}
# Actions for which AWS' "Service Authorization Reference" knows no resource, so that '*' is the only thing to write.
UNSCOPED_VERBS = ("Describe", "List", "Get")
DATA = {"s3", "secretsmanager", "ssm", "kms", "dynamodb", "sqs"}  # services whose reading shows what they keep
UNSCOPED = {
    "ecr:GetAuthorizationToken": "a token for the registry, which names no repository",
    "cloudwatch:PutMetricData": "metrics have no ARN; a condition on the namespace narrows it",
    "iam:CreateServiceLinkedRole": "has no resource before the role exists; a condition names the service",
}
# Kubernetes' controllers that manage whatever a chart contains may read everything; nothing of ours may write it.
READING = {"get", "list", "watch"}


def wildcards(resource: Resource, _limits: Limits) -> Iterator[str]:
    """No right to do everything, and no right on everything where AWS can name what it is on."""
    if resource.type in POLICIES:
        yield from _document(resource.props.get(POLICIES[resource.type]))
    elif resource.type == "aws:iam/role:Role":
        for inline in maps(resource.props.get("inlinePolicies")):
            yield from _document(inline.get("policy"))
        for arn in words(resource.props.get("managedPolicyArns")):
            yield from _broad(arn)
    elif resource.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment":
        yield from _broad(str(resource.props.get("policyArn", "")))
    elif resource.type.startswith("gcp:") and resource.props.get("role") in BROAD_GCP:
        yield f"{resource.props['role']} allows everything; give a narrower role"
    elif resource.type.startswith("kubernetes:rbac.authorization.k8s.io/") and resource.type.endswith("Role"):
        yield from _kubernetes(resource)


def _document(document: Any) -> Iterator[str]:
    for statement in statements(document):
        if statement.get("Effect") != "Allow":
            continue
        actions = words(statement.get("Action"))
        for action in actions:
            if action == "*" or action.endswith(":*"):
                yield f"allows {action!r}; name the actions"
        if "NotAction" in statement or "NotResource" in statement:
            yield "allows all but what it names (NotAction, NotResource); name what it allows"
        # A condition (a tag, a service) narrows a statement as well as a resource does.
        if "*" in words(statement.get("Resource")) and not statement.get("Condition"):
            unscoped = [action for action in actions if not _needs_all(action) and not action.endswith("*")]
            if unscoped:
                yield f"allows {', '.join(sorted(unscoped))} on '*'; name the resources or add a condition"


def _needs_all(action: str) -> bool:
    service, _, verb = action.partition(":")
    return action in UNSCOPED or (service not in DATA and verb.startswith(UNSCOPED_VERBS))


def _broad(arn: str) -> Iterator[str]:
    name = arn.rpartition("/")[2]
    if name in BROAD_AWS:
        yield f"attaches {name}; give a policy that names its actions"


def _kubernetes(resource: Resource) -> Iterator[str]:
    for rule in maps(resource.props.get("rules")):
        verbs, resources = set(words(rule.get("verbs"))), words(rule.get("resources"))
        if "*" in verbs or ("*" in resources and not verbs <= READING):
            yield f"allows {', '.join(sorted(verbs))} on {', '.join(resources)}; name verbs and resources"
