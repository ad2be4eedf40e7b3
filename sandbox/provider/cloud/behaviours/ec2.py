"""Networks: what EC2 says about address ranges, and what changes by itself."""

import ipaddress
from typing import Any

from sandbox.provider.cloud.behaviours import Behaviour, Work
from sandbox.provider.cloud.place import short
from sandbox.provider.cloud.store import Object
from sandbox.provider.contract import ProviderError

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
# What a new version of a launch template is made of; tags and the description of the template itself are not.
UNVERSIONED = frozenset(
    {
        "tags",
        "tagsAll",
        "name",
        "namePrefix",
        "region",
        "defaultVersion",
        "updateDefaultVersion",
        "latestVersion",
        "arn",
    }
)


class Subnet(Behaviour):
    """Lies inside its VPC and beside the other subnets."""

    def create(self, work: Work) -> None:
        zone = work.properties.get("availabilityZone")
        if isinstance(zone, str) and "availabilityZoneId" not in work.properties:
            work.properties["availabilityZoneId"] = zone_id(zone)

    def creating(self, work: Work) -> None:
        block = work.properties.get("cidrBlock")
        vpc = work.store.get(VPC, str(work.properties.get("vpcId")))
        if not isinstance(block, str) or vpc is None or not isinstance(whole := vpc.properties.get("cidrBlock"), str):
            return
        own = ipaddress.ip_network(block)
        if not _inside(own, ipaddress.ip_network(whole)):
            raise ProviderError(f"InvalidSubnet.Range: the CIDR {block!r} is not within the VPC's {whole!r}.")
        for other in work.store.objects(SUBNET):
            taken: Any = other.properties.get("cidrBlock")
            if other.id == work.identifier or other.properties.get("vpcId") != vpc.id or not isinstance(taken, str):
                continue
            if own.overlaps(ipaddress.ip_network(taken)):
                raise ProviderError(f"InvalidSubnet.Conflict: the CIDR {block!r} overlaps {taken!r} of {other.id}.")


class MountTarget(Behaviour):
    """One in a zone; where it lies comes from its subnet."""

    def create(self, work: Work) -> None:
        subnet = work.store.get(SUBNET, str(work.properties.get("subnetId")))
        zone = subnet.properties.get("availabilityZone") if subnet else None
        if subnet is None or not isinstance(zone, str):
            return
        work.properties["availabilityZoneName"] = zone
        work.properties["mountTargetDnsName"] = f"{zone}.{work.properties.get('dnsName')}"

    def creating(self, work: Work) -> None:
        self.create(work)
        for other in work.store.objects(work.task.type):
            same = ("fileSystemId", "availabilityZoneName")
            if all(other.properties.get(name) == work.properties.get(name) for name in same):
                raise ProviderError(
                    f"MountTargetConflict: {other.properties['fileSystemId']} has a mount target in "
                    f"{other.properties['availabilityZoneName']} already."
                )


class LaunchTemplate(Behaviour):
    """Every change of what instances are made of is a new version."""

    def update(self, work: Work, old: Object) -> None:
        latest = int(old.properties.get("latestVersion") or 1)
        changed = any(
            work.properties.get(name) != old.properties.get(name)
            for name in {*work.properties, *old.properties} - UNVERSIONED
        )
        work.properties["latestVersion"] = latest + 1 if changed else latest
        if work.properties.get("updateDefaultVersion"):
            work.properties["defaultVersion"] = work.properties["latestVersion"]
        elif "defaultVersion" not in old.given:
            work.properties["defaultVersion"] = old.properties.get("defaultVersion", 1)


def zone_id(zone: str) -> str:
    """`eu-central-1b` → `euc1-az2`. In a real account the numbers are shuffled."""
    return f"{short(zone[:-1])}-az{ord(zone[-1]) - ord('a') + 1}"


def _inside(own: Any, whole: Any) -> bool:
    return own.version == whole.version and own.subnet_of(whole)
