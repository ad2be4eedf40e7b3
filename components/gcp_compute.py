"""The few classes of Google's compute SDK that we use, without the other 280 modules.

`pulumi_gcp.compute` imports all of them in its `__init__`: 1.2 s of every preview, half of it for classes that nobody
uses here. While ours are imported, an empty package stands in its place; afterwards everything is as it was, so
whoever imports the whole package still gets it.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_gcp.compute import Address, Firewall, Network, Router, RouterNat, Subnetwork

__all__ = ["Address", "Firewall", "Network", "Router", "RouterNat", "Subnetwork"]

PACKAGE = "pulumi_gcp.compute"
MODULES = {
    "Address": "address",
    "Firewall": "firewall",
    "Network": "network",
    "Router": "router",
    "RouterNat": "router_nat",
    "Subnetwork": "subnetwork",
}


def _classes() -> dict[str, Any]:
    """Our classes, by name."""
    sdk = import_module("pulumi_gcp")
    before = sys.modules.get(PACKAGE)
    package = ModuleType(PACKAGE)
    package.__path__ = [str(Path(sdk.__path__[0]) / "compute")]
    sys.modules[PACKAGE] = package
    try:
        return {name: getattr(import_module(f"{PACKAGE}.{module}"), name) for name, module in MODULES.items()}
    finally:
        del sys.modules[PACKAGE]
        if before is not None:
            sys.modules[PACKAGE] = before


if not TYPE_CHECKING:
    globals().update(_classes())
