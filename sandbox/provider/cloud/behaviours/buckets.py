"""Buckets of both clouds: their names are one name space for everybody, and a full one is not deleted."""

from sandbox.provider.cloud.behaviours import Behaviour, Work
from sandbox.provider.cloud.store import Object
from sandbox.provider.contract import ProviderError


class Bucket(Behaviour):
    """Holds keys (`python -m sandbox.provider.cloud put BUCKET KEY`)."""

    def delete(self, work: Work, old: Object) -> str:
        if old.contents and not old.properties.get("forceDestroy"):
            raise ProviderError(
                f"BucketNotEmpty: {old.id} holds {len(old.contents)} objects, e.g. {old.contents[0]!r}: empty it, or "
                "set forceDestroy and run an update first."
            )
        return ""
