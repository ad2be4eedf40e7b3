"""Names and labels, from one place."""

PART_OF = "llmops"


def labels(name: str, instance: str | None = None, **extra: str) -> dict[str, str]:
    """The recommended Kubernetes labels of an object. `name` is what runs, `instance` which one of several."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance or name,
        "app.kubernetes.io/part-of": PART_OF,
        **extra,
    }


def selector(name: str, instance: str | None = None) -> dict[str, str]:
    """The labels that never change while a workload lives, for its selector."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance or name}
