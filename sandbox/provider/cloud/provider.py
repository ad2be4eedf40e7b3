"""The `aws` and `gcp` packages: a stand-in for each, over one pretended cloud."""

from importlib import metadata

from sandbox.provider.cloud import checking, introspect, place
from sandbox.provider.cloud.faults import Faults
from sandbox.provider.cloud.resources import Session
from sandbox.provider.cloud.store import Store
from sandbox.provider.contract import Changes, Failure, ProviderError
from sandbox.provider.differences import differences
from sandbox.provider.values import UNKNOWN, Properties

# What the engine adds to a provider's settings.
ENGINES = frozenset({"version", "pluginDownloadURL", "parameterization"})


class CloudProvider:
    """One package."""

    def __init__(self, name: str, store: Store | None = None) -> None:
        self.name = name
        self.version = metadata.version(f"pulumi-{name}")
        self._store = store or Store()

    def check_config(self, config: Properties) -> list[Failure]:
        given = {name: value for name, value in place.settings(config).items() if name not in ENGINES}
        failures = list(checking.faults(introspect.provider(self.name), given))
        if not failures:
            failures += self._account(given)
        return failures

    def diff_config(self, old: Properties, new: Properties) -> Changes:
        paths = differences(old, new)
        return Changes(paths={path: kind for path, kind in paths.items() if path not in ENGINES})

    def configure(self, config: Properties) -> Session:
        found = place.place(self.name, config)
        if config.get("region") is not UNKNOWN:
            place.require(found)
        return Session(found, self._store, Faults(self._store))

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(f"{token}: the {self.name} provider has not been configured.")

    def _account(self, given: Properties) -> list[Failure]:
        allowed = given.get("allowedAccountIds")
        account = place.place(self.name, given).account
        if self.name == "aws" and isinstance(allowed, list) and account not in allowed:
            return [
                Failure(
                    "allowedAccountIds",
                    f"{account} is not among them: these credentials belong to another account (in the stand-in, set "
                    "LLMOPS_STANDIN_ACCOUNT).",
                )
            ]
        return []
