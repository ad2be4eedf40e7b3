"""What a program itself wants to wait for: the annotation `pulumi.com/waitFor`.

https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply and the
provider's annotations: `jsonpath={.status.phase}=Running`, `jsonpath={.status.name}` (there at all), `condition=Ready`,
`condition=Ready=False`, or a JSON list of these.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from sandbox.provider.contract import ProviderError
from sandbox.provider.kubernetes.cluster import Cluster
from sandbox.provider.kubernetes.readiness.conditions import describe
from sandbox.provider.kubernetes.rest import Json

ANNOTATION = "pulumi.com/waitFor"
WISH = re.compile(r"(?P<kind>jsonpath|condition)=(?:\{(?P<path>[^}]*)\}|(?P<type>[^={}]+))(?:=(?P<value>.*))?")
STEP = re.compile(r"\.(?P<name>[A-Za-z0-9_-]+)|\[(?P<index>\d+)\]")

Rule = Callable[[Cluster, Json], str | None]


def rule(text: str) -> Rule:
    """The rule that an annotation's text describes. Raises ProviderError for one that has no meaning here."""
    wishes = [_wish(one) for one in (json.loads(text) if text.lstrip().startswith("[") else [text])]

    def all_of(_cluster: Cluster, live: Json) -> str | None:
        return next((missing for wish in wishes if (missing := wish(live)) is not None), None)

    return all_of


def _wish(text: Any) -> Callable[[Json], str | None]:
    found = WISH.fullmatch(text) if isinstance(text, str) else None
    if found is None or (found["kind"] == "jsonpath") is not (found["path"] is not None):
        raise ProviderError(
            f"{ANNOTATION} is {text!r}; there is jsonpath={{.a.b}}, jsonpath={{.a.b}}=value, condition=Type, "
            "condition=Type=Status, and a JSON list of these."
        )
    if found["kind"] == "jsonpath":
        steps = [m["name"] or int(m["index"]) for m in STEP.finditer(found["path"])]
        if "".join(m[0] for m in STEP.finditer(found["path"])) != found["path"] or not steps:
            raise ProviderError(f"{ANNOTATION}: the path {{{found['path']}}} is more than fields and list positions.")
        return lambda live: _at(live, steps, found["path"], found["value"])
    return lambda live: _condition(live, found["type"], found["value"] or "True")


def _at(live: Any, steps: list[str | int], path: str, wanted: str | None) -> str | None:
    for step in steps:
        try:
            live = live[step]
        except (KeyError, IndexError, TypeError):
            return f"{path}" + (f" to be {wanted}" if wanted else "")
    if wanted is None:
        return None
    there = json.dumps(live) if isinstance(live, bool) else str(live)
    return None if there == wanted else f"{path} to be {wanted}; it is {there}"


def _condition(live: Json, name: str, wanted: str) -> str | None:
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition.get("type") == name:
            if condition.get("status") == wanted:
                return None
            return f"condition {name} to be {wanted}: {describe(condition)}"
    return f"condition {name}"
