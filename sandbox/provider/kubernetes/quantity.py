"""Kubernetes quantities as numbers (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)."""

import re
from decimal import Decimal

FORM = re.compile(r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(?P<suffix>[numkKMGTPE]i?)?")
SUFFIXES = {
    "": Decimal(1),
    **{name: Decimal(10) ** power for name, power in zip("num", (-9, -6, -3), strict=True)},
    **{name: Decimal(1000) ** power for power, name in enumerate("kMGTPE", 1)},
    **{f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", 1)},
}


def parse(text: str | int | float) -> Decimal:
    """`250m` → 0.25, `2Gi` → 2147483648. Raises ValueError for what is no quantity."""
    found = FORM.fullmatch(str(text).strip())
    if found is None or (found["suffix"] or "") not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(found["number"]) * SUFFIXES[found["suffix"] or ""]
