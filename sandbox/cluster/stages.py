"""What kwok does in a cluster with fake nodes, as one file of Stages.

Nodes and pods follow kwok's own stages, from its Go module. Ours, in `stages/`, play the controllers that a cloud
would run: the load balancer's and the volume provisioner's.
"""

from pathlib import Path

from sandbox.cluster.components import Balancer

KWOK = "sigs.k8s.io/kwok"
UPSTREAM = ("node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")
OURS = Path(__file__).with_name("stages")

# TEST-NET-3 (RFC 5737) and .invalid (RFC 2606): nobody's, so no request can go astray. A cluster's Services share a
# /24, so the last byte of a Service's own address tells its load balancers apart.
INGRESS: dict[Balancer, str] = {
    "address": 'ip: "203.0.113.{{ .spec.clusterIP | splitList "." | last }}"',
    "hostname": "hostname: {{ .metadata.name }}-{{ .metadata.uid | trunc 8 }}.elb.standin.invalid",
}


def render(module: Path, balancer: Balancer) -> str:
    """The text of kwok's configuration. `module` is the directory of kwok's Go module."""
    upstream = [(module / "kustomize" / "stage" / f"{name}.yaml").read_text() for name in UPSTREAM]
    ours = [file.read_text().replace("@INGRESS@", INGRESS[balancer]) for file in sorted(OURS.glob("*.yaml"))]
    return "\n---\n".join(text.strip() for text in upstream + ours) + "\n"
