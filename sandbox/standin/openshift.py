"""The APIs that every OpenShift cluster is born with, as far as the stand-in has them."""

from sandbox.cluster.api import Api
from sandbox.paths import REPOSITORY

FOLDER = REPOSITORY / "sandbox" / "provider" / "kubernetes" / "crds" / "openshift"
# The namespaces of its own that programs name.
NAMESPACES = ("openshift-ingress", "openshift-marketplace", "openshift-monitoring", "openshift-operators")
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install(api: Api) -> None:
    """Routes, SecurityContextConstraints, the Operator Lifecycle Manager's own, and its namespaces."""
    import yaml  # once in a cluster's life

    for file in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            api.apply(f"{PATH}/{document['metadata']['name']}", document)
    for name in NAMESPACES:
        api.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
