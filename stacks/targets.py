"""Which file builds which target."""

from importlib import import_module

from stacks.settings import Settings


def build(settings: Settings) -> None:
    """Construct every target of the stack. Only its own file is loaded: the clouds' SDKs take seconds to import."""
    for target in settings.targets:
        import_module(f"stacks.{target}").build(settings)
