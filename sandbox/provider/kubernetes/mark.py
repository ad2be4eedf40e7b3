"""The mark of a pretended cluster: in the cluster itself, so that whoever reaches it, by whatever kubeconfig, can tell."""

NAME = "llmops-standin"
MARK = f"/api/v1/namespaces/kube-system/configmaps/{NAME}"
