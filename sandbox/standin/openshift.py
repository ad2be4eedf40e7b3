"""The APIs that every OpenShift cluster is born with, as far as the stand-in has them."""

from sandbox.cluster.api import Api
from sandbox.paths import REPOSITORY

FOLDER = REPOSITORY / "sandbox" / "provider" / "kubernetes" / "crds" / "openshift"
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install(api: Api) -> None:
    """Routes, SecurityContextConstraints, and the Operator Lifecycle Manager's own."""
    import yaml  # once in a cluster's life

    for file in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            api.apply(f"{PATH}/{document['metadata']['name']}", document)
