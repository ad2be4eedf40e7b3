"""AWS keeps a deleted secret, and its name, until its recovery window is over."""

from sandbox.provider.cloud.behaviours import Behaviour, Work
from sandbox.provider.cloud.store import Object
from sandbox.provider.contract import ProviderError


class Secret(Behaviour):
    """Its name is taken while an earlier one waits for its end."""

    def creating(self, work: Work) -> None:
        for other in work.store.objects(work.task.type, left=True):
            if other.id == work.identifier or other.properties.get("name") != work.properties.get("name"):
                continue
            why = (
                "it is scheduled for deletion: set recoveryWindowInDays to 0 to free it" if other.left else "it exists"
            )
            raise ProviderError(f"The secret's name {work.properties.get('name')!r} is taken; {why}.")

    def delete(self, work: Work, old: Object) -> str:
        days = int(old.properties.get("recoveryWindowInDays", 30))
        return f"scheduled for deletion in {days} days" if days else ""
