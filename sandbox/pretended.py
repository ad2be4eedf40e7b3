"""What a cloud's stack runs on where neither the cloud nor its official plugins are: stand-ins, and they say so."""

from sandbox import toolchain
from sandbox.progress import Progress

FEATURES = ("engine", "control-plane", "fake-nodes", "charts")
WORDS = (
    "Nothing outside this machine was touched: the cloud is a stand-in and its nodes only pretend. "
    "What is real: the engine, the program, the API server and the scheduler, with their verdicts."
)


def in_use() -> bool:
    """Whether the stand-ins answer: not where an official Pulumi CLI with its plugins does."""
    return toolchain.official_pulumi() is None


def prepare(progress: Progress) -> None:
    """What the stand-ins need: the CLI, a control plane, nodes that pretend, helm. Nothing for official plugins."""
    if in_use():
        toolchain.ensure(FEATURES, progress)
