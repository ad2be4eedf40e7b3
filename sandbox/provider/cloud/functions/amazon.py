"""Functions of the aws package."""

import re

from sandbox.provider.cloud import place as places
from sandbox.provider.cloud import versions
from sandbox.provider.cloud.behaviours.ec2 import zone_id
from sandbox.provider.cloud.functions import Function
from sandbox.provider.cloud.functions.policy import policy_document
from sandbox.provider.cloud.place import Place
from sandbox.provider.cloud.store import Store
from sandbox.provider.cloud.templates import ALPHABETS, Seed
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import Properties

ZONES = "abc"
# docs.aws.amazon.com/general/latest/gr/elb.html, "Route 53 hosted zone ID (Network Load Balancers)"
BALANCER_ZONES = {
    "ap-northeast-1": "Z31USIVHYNEOWT",
    "ap-southeast-1": "ZKVM4W9LS7TM",
    "ap-southeast-2": "ZCT6FZBF4DROD",
    "ca-central-1": "Z2EPGBW3API2WT",
    "eu-central-1": "Z3F0SRJ5LGBH90",
    "eu-north-1": "Z1UDT6IFJ4EJM",
    "eu-west-1": "Z2IFOLAFXWLO4F",
    "eu-west-2": "ZD4D7Y8KGAS4G",
    "eu-west-3": "Z1CMS0P5QUZ6D5",
    "us-east-1": "Z26RNL4JYFTOTI",
    "us-east-2": "ZLMOA37VPKANP",
    "us-west-2": "Z18D5FSROUN65G",
}
# docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html
EKS_IMAGE = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<version>1\.\d+)/amazon-linux-2023/(x86_64|arm64)/"
    r"(standard|nvidia|neuron)/recommended/(?P<field>image_id|release_version)"
)
# docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html
GPU_IMAGE = re.compile(r"/aws/service/deeplearning/ami/(x86_64|arm64)/base-oss-nvidia-driver-gpu-[\w.-]+/latest/ami-id")


def caller_identity(arguments: Properties, place: Place) -> Properties:
    """Who the credentials belong to."""
    user = "stand-in"
    return {
        "id": place.account,
        "accountId": place.account,
        "arn": f"arn:{places.partition(place.region or '')}:iam::{place.account}:user/{user}",
        "userId": "AIDA" + Seed(place.account).letters(ALPHABETS["upper"], 17),
    }


def region(arguments: Properties, place: Place) -> Properties:
    """The provider's region, or the named one."""
    name = str(arguments.get("region") or arguments.get("name") or place.region)
    return {"id": name, "name": name, "region": name, "description": name, "endpoint": f"ec2.{name}.amazonaws.com"}


def partition(arguments: Properties, place: Place) -> Properties:
    """aws, or China's, or the US government's."""
    name = places.partition(place.region or "")
    suffix = "amazonaws.com.cn" if name == "aws-cn" else "amazonaws.com"
    return {
        "id": name,
        "partition": name,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


def availability_zones(arguments: Properties, place: Place) -> Properties:
    """Three zones. Local and Wavelength Zones are not pretended."""
    for given in arguments.get("filters") or []:
        if given.get("name") != "opt-in-status":
            raise ProviderError(f"getAvailabilityZones: the filter {given.get('name')!r} has no rule in the stand-in.")
    name = str(arguments.get("region") or place.region)
    letters = [z for z in ZONES if f"{name}{z}" not in (arguments.get("excludeNames") or [])]
    identifiers = {z: zone_id(f"{name}{z}") for z in ZONES}
    letters = [z for z in letters if identifiers[z] not in (arguments.get("excludeZoneIds") or [])]
    return {
        **arguments,
        "id": name,
        "region": name,
        "names": [f"{name}{z}" for z in letters],
        "zoneIds": [identifiers[z] for z in letters],
        "groupNames": [f"{name}-zg-1"],
    }


def parameter(arguments: Properties, place: Place) -> Properties:
    """AWS's public parameters for EKS' and GPU machine images; the values are made up."""
    name = str(arguments.get("name"))
    found = EKS_IMAGE.fullmatch(name)
    if found is None and not GPU_IMAGE.fullmatch(name):
        raise ProviderError(
            f"getParameter: {name} has no rule in the stand-in; there are the public parameters of EKS' optimised "
            "and of GPU machine images."
        )
    here = str(arguments.get("region") or place.region)
    if found is not None and (fault := versions.fault("eks", found["version"])):
        raise ProviderError(f"getParameter: ParameterNotFound: {fault}")
    value = "ami-" + Seed(f"{here}{name}").letters(ALPHABETS["hex"], 17)
    if found is not None and found["field"] == "release_version":
        value = f"{found['version']}.0-20260101"
    return {
        **arguments,
        "id": name,
        "arn": f"arn:{places.partition(here)}:ssm:{here}::parameter{name}",
        "type": "String",
        "value": value,
        "insecureValue": value,
        "version": 1,
        "region": here,
    }


def addon_version(arguments: Properties, place: Place) -> Properties:
    """The version of an add-on; the newest and the default one are the same here."""
    name, kubernetes = str(arguments["addonName"]), str(arguments["kubernetesVersion"])
    if fault := versions.fault("eks", kubernetes):
        raise ProviderError(f"getAddonVersion: {fault}")
    return {**arguments, "id": name, "version": versions.addon(name, kubernetes), "region": place.region}


# What a new account may run: none of the instances with GPUs, before AWS is asked for more.
# docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
NEW_ACCOUNT = {"L-417A185B": 0.0, "L-7212CCBC": 0.0, "L-C4BD4855": 0.0, "L-DB2E81BA": 0.0, "L-3819A6DF": 0.0}


def service_quota(arguments: Properties, place: Place) -> Properties:
    """A quota of EC2 as a new account has it."""
    service, code = str(arguments.get("serviceCode")), str(arguments.get("quotaCode"))
    if service != "ec2" or code not in NEW_ACCOUNT:
        raise ProviderError(
            f"getServiceQuota: {service} {code} has no rule in the stand-in; there is ec2 {', '.join(NEW_ACCOUNT)}."
        )
    here = str(arguments.get("region") or place.region)
    arn = f"arn:{places.partition(here)}:servicequotas:{here}:{place.account}:ec2/{code}"
    value = {"value": NEW_ACCOUNT[code], "defaultValue": NEW_ACCOUNT[code]}
    return {**arguments, **value, "id": arn, "arn": arn, "quotaName": code, "serviceName": "EC2", "adjustable": True}


def hosted_zone(arguments: Properties, place: Place) -> Properties:
    """The Route 53 zone of the region's network load balancers."""
    kind = str(arguments.get("loadBalancerType") or "application")
    here = str(arguments.get("region") or place.region)
    if kind != "network" or here not in BALANCER_ZONES:
        raise ProviderError(
            f"getHostedZoneId: {kind} load balancers of {here} have no rule in the stand-in; there are network load "
            f"balancers of {', '.join(sorted(BALANCER_ZONES))}."
        )
    return {**arguments, "id": BALANCER_ZONES[here], "region": here}


def secret_version(arguments: Properties, place: Place) -> Properties:
    """The current value of a secret of the pretended cloud, asked for by ARN or by name."""
    wanted, store = str(arguments["secretId"]), Store()
    for secret in store.objects("aws:secretsmanager/secret:Secret"):
        if wanted not in (secret.id, secret.properties.get("name")):
            continue
        for version in store.objects("aws:secretsmanager/secretVersion:SecretVersion"):
            if version.properties.get("secretId") == secret.id:
                return {**arguments, "id": version.id, "arn": secret.id, **version.properties}
    raise ProviderError(
        f"getSecretVersion: ResourceNotFoundException: there is no secret {wanted!r} with a value in the pretended "
        "cloud; make one with aws.secretsmanager.Secret and SecretVersion."
    )


FUNCTIONS: dict[str, Function] = {
    "aws:lb/getHostedZoneId:getHostedZoneId": hosted_zone,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": secret_version,
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
    "aws:ssm/getParameter:getParameter": parameter,
    "aws:eks/getAddonVersion:getAddonVersion": addon_version,
    "aws:servicequotas/getServiceQuota:getServiceQuota": service_quota,
}
