"""The kubeconfig that the component hands out: it logs in with `aws eks get-token`."""

from typing import Any

import pulumi
import pulumi_aws as aws


def kubeconfig(cluster: aws.eks.Cluster, credentials: Any) -> pulumi.Output[Any]:
    """The document; unknown while the cluster is."""
    found: Any = pulumi.Output.all(
        cluster.name, cluster.endpoint, cluster.certificate_authority.data, cluster.arn, credentials
    )
    return found.apply(lambda values: _document(*values))


def _document(name: str, endpoint: str, authority: str, arn: str, credentials: Any) -> dict[str, Any]:
    arguments = ["--region", arn.split(":")[3], "eks", "get-token", "--cluster-name", name, "--output", "json"]
    options: dict[str, Any] = credentials or {}
    if options.get("roleArn"):
        arguments += ["--role", options["roleArn"]]
    execution = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": arguments,
        "env": [
            {"name": "KUBERNETES_EXEC_INFO", "value": '{"apiVersion": "client.authentication.k8s.io/v1beta1"}'},
        ],
    }
    return {
        "apiVersion": "v1",
        "clusters": [
            {"cluster": {"server": endpoint, "certificate-authority-data": authority}, "name": "kubernetes"},
        ],
        "contexts": [{"context": {"cluster": "kubernetes", "user": "aws"}, "name": "aws"}],
        "current-context": "aws",
        "kind": "Config",
        "users": [{"name": "aws", "user": {"exec": execution}}],
    }
