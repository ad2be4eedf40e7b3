"""Functions (invokes): what programs ask the cloud. Each has a rule, or is refused."""

from collections.abc import Callable

from sandbox.provider.cloud.place import Place
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import Properties

Function = Callable[[Properties, Place], Properties]

REFUSALS = {
    "aws:eks/getClusterAuth:getClusterAuth": "a token cannot be made up: use the kubeconfig's `aws eks get-token`, "
    "which the sandbox's Kubernetes provider stands in for",
}


def call(token: str, arguments: Properties, place: Place) -> Properties:
    """The answer of a function. Raises ProviderError where it has no rule."""
    if place.package == "aws":
        from sandbox.provider.cloud.functions.amazon import FUNCTIONS
    else:
        from sandbox.provider.cloud.functions.google import FUNCTIONS
    if token in FUNCTIONS:
        return FUNCTIONS[token](arguments, place)
    why = REFUSALS.get(token)
    known = ", ".join(sorted(name.rpartition(":")[2] for name in FUNCTIONS))
    raise ProviderError(
        f"The function {token} has no rule in the sandbox's {place.package} stand-in: {why or f'there is {known}'}."
    )
