"""The part of Google's compute SDK that is imported: enough for us, and nothing lost for others."""

import subprocess
import sys

from sandbox.paths import REPOSITORY

PROGRAM = """
import sys
from components.gcp_compute import Network
loaded = {name for name in sys.modules if name.startswith("pulumi_gcp.compute.")}
assert len(loaded) < 12, sorted(loaded)
import pulumi_gcp as gcp
assert gcp.compute.Network is Network
assert gcp.compute.Instance
from pulumi_gcp.compute import RouterNat
from components import gcp_compute
assert gcp_compute.RouterNat is RouterNat
"""


def test_few_modules_are_imported_and_the_whole_package_still_can_be() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=REPOSITORY, check=True)
