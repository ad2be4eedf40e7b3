"""Names and tags of everything a stack makes outside its cluster: one pure function each.

Two stacks never get the same name, whatever they are called: where a stack's name alone does not show where it
ends (`pr-1` with `2-nodes`, `pr-1-2` with `nodes`), or where a name had to be cut, eight digits of a digest over
the whole follow. So `aws` gives `llmops-aws-nodes`, and `pr-12` gives `llmops-pr-12-nodes-5d961fba`.
"""

import hashlib
import re
from dataclasses import dataclass, field

PROJECT = "llmops"
DIGEST = 8  # hexadecimal digits: with equal readable parts, one in four billion pairs collides
PLAIN = re.compile(r"[a-z0-9]{1,20}")  # a stack's name that ends where the first '-' stands

# The longest name each service takes. Sources: the services' API references, November 2026.
LIMITS = {
    "aws:eks-cluster": 100,
    "aws:node-group": 63,
    "aws:iam-role": 64,
    "aws:iam-policy": 128,
    "aws:bucket": 63,
    "aws:load-balancer": 32,
    "aws:launch-template": 128,
    "aws:placement-group": 255,
    "aws:kms-alias": 250,  # without `alias/`
    "aws:log-group": 512,
    "aws:security-group": 255,
    "aws:efs": 64,  # the creation token
    "gcp:cluster": 40,
    "gcp:node-pool": 40,
    "gcp:network": 63,
    "gcp:subnetwork": 63,
    "gcp:service-account": 30,  # the account's id; it needs 6 at least
    "gcp:bucket": 63,
    "gcp:key-ring": 63,
    "gcp:address": 63,
    "gcp:filestore": 63,
    "gcp:router": 63,
    "kubernetes": 63,
}


def _slug(text: str) -> str:
    """Lower-case letters, digits and single inner '-' of `text`."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9]", "-", text.lower())).strip("-")


def resource_name(kind: str, stack: str, *parts: str) -> str:
    """The name of one thing of a stack, e.g. `resource_name("aws:iam-role", "aws", "nodes")`.

    `kind` is a key of LIMITS. Lower-case letters, digits and '-', starting with a letter, ending with neither, never
    longer than the kind allows. Raises KeyError for an unknown kind.
    """
    limit = LIMITS[kind]
    readable = "-".join(word for word in (PROJECT, _slug(stack), *(_slug(part) for part in parts)) if word)
    exact = PLAIN.fullmatch(stack) and all(part == _slug(part) for part in parts)
    if exact and len(readable) <= limit:
        return readable
    # The parts are told apart by a character that none of them can hold.
    digest = hashlib.sha256("\0".join((stack, *parts)).encode()).hexdigest()[:DIGEST]
    return f"{readable[: limit - DIGEST - 1].rstrip('-')}-{digest}"


# Characters that AWS takes in a tag's value (tagging reference: at most 256) and Google in a label's (63).
TAG_UNFIT, LABEL_UNFIT = re.compile(r"[^\w .:/=+@-]"), re.compile(r"[^a-z0-9_-]")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The names and tags of one stack. `more` is what the organisation wants on everything, e.g. a cost centre."""

    stack: str
    ephemeral: bool = False
    more: dict[str, str] = field(default_factory=dict[str, str])

    def of(self, kind: str, *parts: str) -> str:
        """The name of one thing of this stack; see `resource_name`."""
        return resource_name(kind, self.stack, *parts)

    def tags(self) -> dict[str, str]:
        """AWS tags for everything of this stack."""
        return {key: TAG_UNFIT.sub("-", value)[:256] for key, value in self._facts().items()}

    def labels(self) -> dict[str, str]:
        """The same facts as Google Cloud labels: lower-case, at most 63 characters."""
        return {
            LABEL_UNFIT.sub("-", key.lower())[:63]: LABEL_UNFIT.sub("-", value.lower())[:63]
            for key, value in self._facts().items()
        }

    def _facts(self) -> dict[str, str]:
        return {
            **self.more,
            "managed-by": "pulumi",
            "llmops-project": PROJECT,
            "llmops-stack": self.stack,
            "llmops-ephemeral": "true" if self.ephemeral else "false",
        }
