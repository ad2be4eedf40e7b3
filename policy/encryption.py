"""Everything that is written down is encrypted, with keys that turn over."""

from collections.abc import Iterator, Sequence

from policy.public import AWS_BUCKETS
from policy.resource import UNKNOWN, Resource, at, known_false, maps, words
from policy.rule import Limits

ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


def at_rest(resource: Resource, _limits: Limits) -> Iterator[str]:
    """Disks, file systems and Kubernetes secrets are encrypted."""
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate":
            for device in maps(resource.props.get("blockDeviceMappings")):
                if known_false(at(device, "ebs.encrypted")):
                    yield f"disk {device.get('deviceName')} is not encrypted; set ebs.encrypted"
        case "aws:ebs/volume:Volume" | "aws:efs/fileSystem:FileSystem":
            if known_false(resource.props.get("encrypted")):
                yield "is not encrypted; set encrypted"
        case "aws:eks/cluster:Cluster":
            configured = resource.props.get("encryptionConfig")
            if configured is not UNKNOWN and "secrets" not in words(at(configured, "resources")):
                yield "Kubernetes secrets are not encrypted by a key; set encryptionConfig"
        case "aws:kms/key:Key":
            # Keys for signatures cannot turn over.
            symmetric = resource.props.get("keyUsage", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT"
            if symmetric and known_false(resource.props.get("enableKeyRotation")):
                yield "never turns over; set enableKeyRotation"
        case "gcp:kms/cryptoKey:CryptoKey":
            if resource.props.get("purpose", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT" and not resource.props.get(
                "rotationPeriod"
            ):
                yield "never turns over; set rotationPeriod"
        case "gcp:container/cluster:Cluster":
            # Disks and buckets of Google are always encrypted; what can be forgotten is Kubernetes' own database.
            state = at(resource.props, "databaseEncryption.state")
            if state == "DECRYPTED":
                yield "databaseEncryption is switched off; leave it out or name a key"
        case _:
            pass


def buckets_at_rest(resources: Sequence[Resource], _limits: Limits) -> Iterator[tuple[str, str]]:
    """Every S3 bucket of the stack says how it is encrypted."""
    covered = {urn for r in resources if r.type == ENCRYPTION for urn in r.sources.get("bucket", ())}
    for resource in resources:
        inline = resource.props.get("serverSideEncryptionConfiguration")
        if resource.type in AWS_BUCKETS and resource.urn not in covered and not inline:
            yield resource.urn, f"bucket {resource.name} has no BucketServerSideEncryptionConfiguration; add one"


def node_metadata(resource: Resource, _limits: Limits) -> Iterator[str]:
    """Pods cannot take the node's identity: IMDSv2 with one hop on AWS, GKE's metadata server on Google."""
    match resource.type:
        case "aws:ec2/launchTemplate:LaunchTemplate" | "aws:ec2/instance:Instance":
            options = resource.props.get("metadataOptions")
            if options is UNKNOWN:
                return
            if at(options, "httpTokens") not in ("required", UNKNOWN):
                yield "IMDSv1 answers; set metadataOptions.httpTokens to 'required'"
            if at(options, "httpPutResponseHopLimit") not in (1, UNKNOWN):
                yield "pods reach the instance's metadata; set metadataOptions.httpPutResponseHopLimit to 1"
        case "gcp:container/nodePool:NodePool":
            if at(resource.props, "nodeConfig.workloadMetadataConfig.mode") not in ("GKE_METADATA", UNKNOWN):
                yield "pods reach the node's own identity; set nodeConfig.workloadMetadataConfig.mode to 'GKE_METADATA'"
        case _:
            pass
