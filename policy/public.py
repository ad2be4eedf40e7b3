"""Nothing that only its owners need is reachable by everybody."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from policy.resource import UNKNOWN, Resource, at, known_false, maps, words
from policy.rule import Limits

EVERYWHERE = {"0.0.0.0/0", "::/0"}
EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
# The one thing that may listen to everybody is the gateway, and it does so on these ports.
OPEN_PORTS = {80, 443}
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
AWS_BUCKETS = {"aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"}


def buckets(resource: Resource, _limits: Limits) -> Iterator[str]:
    """No bucket, and nothing in one, can be read by everybody."""
    match resource.type:
        case "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":
            for key in BLOCKS:
                if known_false(resource.props.get(key)):
                    yield f"{key} is off; set it to true"
        case "aws:s3/bucketAcl:BucketAcl" | "aws:s3/bucket:Bucket" | "aws:s3/bucketV2:BucketV2":
            if str(resource.props.get("acl", "")).startswith("public"):
                yield f"acl is {resource.props['acl']!r}; leave it out, the bucket is private then"
        case "aws:s3/bucketPolicy:BucketPolicy":
            yield from _everybody_may(resource.props.get("policy"))
        case "gcp:storage/bucket:Bucket":
            if known_false(resource.props.get("uniformBucketLevelAccess")):
                yield "uniformBucketLevelAccess is off, so single objects can be made public; set it to true"
            if at(resource.props, "publicAccessPrevention") not in ("enforced", UNKNOWN):
                yield "publicAccessPrevention is not 'enforced'; set it"
        case _:
            if resource.type.startswith("gcp:"):
                members = [*words(resource.props.get("members")), *words(resource.props.get("member"))]
                for member in sorted(EVERYBODY.intersection(members)):
                    yield f"{member} is given {resource.props.get('role')}; name an account or a group instead"


def _everybody_may(document: Any) -> Iterator[str]:
    for statement in statements(document):
        principal = statement.get("Principal")
        everybody = principal == "*" or (isinstance(principal, dict) and "*" in words(at(principal, "AWS")))
        if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
            yield "the policy allows everybody (Principal '*') without a condition; name who may"


def blocked(resources: Sequence[Resource], _limits: Limits) -> Iterator[tuple[str, str]]:
    """Every S3 bucket of the stack has its public access block."""
    covered = {
        urn
        for r in resources
        if r.type == "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
        for urn in r.sources.get("bucket", ())
    }
    for resource in resources:
        if resource.type in AWS_BUCKETS and resource.urn not in covered:
            yield resource.urn, f"bucket {resource.name} has no BucketPublicAccessBlock; add one with all four switches"


def endpoints(resource: Resource, _limits: Limits) -> Iterator[str]:
    """No control plane and no port but the gateway's answers the whole world."""
    match resource.type:
        case "aws:eks/cluster:Cluster":
            public = at(resource.props, "vpcConfig.endpointPublicAccess")
            if public is None or not known_false(public):  # AWS' own default is a public one
                allowed = at(resource.props, "vpcConfig.publicAccessCidrs")
                if UNKNOWN not in (public, allowed) and (not allowed or EVERYWHERE.intersection(words(allowed))):
                    yield "the API server answers everybody; name networks in eks.publicAccessCidrs"
        case "gcp:container/cluster:Cluster":
            if known_false(at(resource.props, "privateClusterConfig.enablePrivateNodes")):
                yield "nodes have public addresses; set privateClusterConfig.enablePrivateNodes"
            networks = resource.props.get("masterAuthorizedNetworksConfig")
            private = not known_false(at(resource.props, "privateClusterConfig.enablePrivateEndpoint"))
            if networks is None and not private:
                yield "the API server answers everybody; name networks in gke.authorizedNetworks"
            for block in maps(at(networks, "cidrBlocks")):
                if block.get("cidrBlock") in EVERYWHERE:
                    yield "the API server answers everybody; name networks in gke.authorizedNetworks"
        case "aws:ec2/securityGroup:SecurityGroup":
            for rule in maps(resource.props.get("ingress")):
                yield from _open(rule, [*words(rule.get("cidrBlocks")), *words(rule.get("ipv6CidrBlocks"))])
        case "aws:ec2/securityGroupRule:SecurityGroupRule":
            if resource.props.get("type") == "ingress":
                sources = [*words(resource.props.get("cidrBlocks")), *words(resource.props.get("ipv6CidrBlocks"))]
                yield from _open(resource.props, sources)
        case "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
            sources = [*words(resource.props.get("cidrIpv4")), *words(resource.props.get("cidrIpv6"))]
            yield from _open(resource.props, sources)
        case "gcp:compute/firewall:Firewall":
            if EVERYWHERE.intersection(words(resource.props.get("sourceRanges"))):
                for allow in maps(resource.props.get("allows")):
                    closed = [p for p in words(allow.get("ports")) or ["all"] if p not in {str(n) for n in OPEN_PORTS}]
                    if closed:
                        yield f"ports {', '.join(closed)} are open to everybody; name sourceRanges"
        case _:
            pass


def _open(rule: Any, sources: list[str]) -> Iterator[str]:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if EVERYWHERE.intersection(sources) and not (first == last and first in OPEN_PORTS):
        yield f"ports {first} to {last} are open to everybody; name networks"


def statements(document: Any) -> list[dict[str, Any]]:
    """The statements of an IAM policy document, which is JSON text or a map; none where it is not known yet."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    return [dict(statement) for statement in maps(at(document, "Statement"))]
