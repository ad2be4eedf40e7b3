"""Conflicts of server-side apply: who owns a field that we want to set."""

import re

from sandbox.provider.kubernetes.rest import ApiError

MANAGER = re.compile(r'conflict with "(?P<name>[^"]+)"')
# Tools by which a person changes an object by hand, and our own earlier applies. Correcting those is what an update
# is for; a controller (an autoscaler that sets replicas) would only set the field again.
BY_HAND = re.compile(r"kubectl|pulumi-|python-requests|OpenAPI-Generator|curl|k9s|Lens", re.IGNORECASE)


def managers(error: ApiError) -> set[str]:
    """The field managers that a conflict names."""
    texts = [cause.get("message", "") for cause in error.causes] or [error.message]
    return {found["name"] for text in texts for found in MANAGER.finditer(text)}


def contested(error: ApiError) -> str:
    """One sentence about a conflict of ownership; "" for other errors."""
    names = managers(error)
    if not names:
        return ""
    fields = sorted({cause.get("field", "") for cause in error.causes} - {""})
    return (
        f"{', '.join(fields) or 'a field'} belongs to {', '.join(sorted(names))}; leave it to them (`ignoreChanges`) "
        'or set the annotation pulumi.com/patchForce: "true".'
    )


def may_force(error: ApiError) -> bool:
    """Whether all other owners are people or ourselves."""
    names = managers(error)
    return bool(names) and all(BY_HAND.match(name) for name in names)
