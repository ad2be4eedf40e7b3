"""What holds models outlives mistakes."""

from collections.abc import Iterator

from policy.resource import Resource
from policy.rule import Limits

# What holds models, engines or the keys to them.
STORES = {
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "aws:efs/fileSystem:FileSystem",
    "gcp:storage/bucket:Bucket",
    "gcp:filestore/instance:Instance",
}


def protected(resource: Resource, limits: Limits) -> Iterator[str]:
    """A store is protected, and not emptied on destroy, unless the stack says that it is ephemeral."""
    if resource.type not in STORES or limits.ephemeral:
        return
    if not resource.protect:
        yield "is not protected; set ResourceOptions(protect=True), or llmops:ephemeral for a test cluster"
    if resource.props.get("forceDestroy") is True:
        yield "is emptied when it is destroyed; leave forceDestroy out, or set llmops:ephemeral for a test cluster"
