"""The mark of a pretended cluster: in the cluster itself, so that whoever reaches it can tell, by any kubeconfig."""

NAME = "llmops-standin"
MARK = f"/api/v1/namespaces/kube-system/configmaps/{NAME}"
# Its keys for the nodes that a group can still grow by: a list of manifests.
SPARE = "spare."
