"""aws:iam/getPolicyDocument, as the provider writes it.

terraform-provider-aws, internal/service/iam/policy_document_data_source.go.
"""

import json
import zlib
from typing import Any

from sandbox.provider.cloud.place import Place
from sandbox.provider.contract import ProviderError
from sandbox.provider.values import Properties

VERSION = "2012-10-17"


def policy_document(arguments: Properties, place: Place) -> Properties:
    """The document as JSON, with statements of source documents before and of override documents after."""
    statements: list[dict[str, Any]] = []
    for text in arguments.get("sourcePolicyDocuments") or []:
        statements += _statements(text)
    statements += [_statement(given) for given in arguments.get("statements") or []]
    named = [statement["Sid"] for statement in statements if "Sid" in statement]
    if twice := {sid for sid in named if named.count(sid) > 1}:
        raise ProviderError(f"getPolicyDocument: the statement id {sorted(twice)[0]!r} is used twice.")
    for text in arguments.get("overridePolicyDocuments") or []:
        for statement in _statements(text):
            same = [
                i for i, other in enumerate(statements) if "Sid" in statement and other.get("Sid") == statement["Sid"]
            ]
            if same:
                statements[same[0]] = statement
            else:
                statements.append(statement)
    document: dict[str, Any] = {"Version": arguments.get("version") or VERSION}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return {
        **arguments,
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _statements(text: Any) -> list[dict[str, Any]]:
    try:
        found: Any = json.loads(text).get("Statement") or []
    except (ValueError, AttributeError):
        raise ProviderError("getPolicyDocument: a source or override document is not a policy in JSON.") from None
    return found if isinstance(found, list) else [found]


def _statement(given: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Sid": given.get("sid"),
        "Effect": given.get("effect") or "Allow",
        "Action": _some(given.get("actions")),
        "NotAction": _some(given.get("notActions")),
        "Resource": _some(given.get("resources")),
        "NotResource": _some(given.get("notResources")),
        "Principal": _principals(given.get("principals")),
        "NotPrincipal": _principals(given.get("notPrincipals")),
        "Condition": _conditions(given.get("conditions")),
    }
    return {name: value for name, value in made.items() if value not in (None, "", [])}


def _some(values: Any) -> Any:
    """One value as it is, several in the provider's order."""
    if not values:
        return None
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _principals(given: Any) -> Any:
    found: dict[str, Any] = {}
    for principal in given or []:
        if principal["type"] == "*" and principal["identifiers"] == ["*"]:
            return "*"
        before = found.get(principal["type"])
        listed = [before] if isinstance(before, str) else list(before or [])
        found[principal["type"]] = _some([*listed, *principal["identifiers"]])
    return found or None


def _conditions(given: Any) -> Any:
    found: dict[str, dict[str, Any]] = {}
    for condition in given or []:
        values = condition["values"]
        found.setdefault(condition["test"], {})[condition["variable"]] = values[0] if len(values) == 1 else values
    return found or None
