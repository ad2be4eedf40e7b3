"""Which file builds which target."""

from collections.abc import Callable

from stacks import local
from stacks.settings import Settings

BUILDERS: dict[str, Callable[[Settings], None]] = {"local": local.build}


def build(settings: Settings) -> None:
    """Construct every target of the stack."""
    for target in settings.targets:
        BUILDERS[target](settings)
