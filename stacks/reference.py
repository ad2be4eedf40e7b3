"""The configuration reference: `python -m stacks.reference` writes it from the settings schema.

A test keeps both equal, so the page cannot lag behind the schema.
"""

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from stacks.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "deploy" / "configuration.md"
HEAD = """\
# Configuration

Every setting of a stack, generated from `stacks/settings.py` and `stacks/schema/`. A stack file
(`Pulumi.<stack>.yaml`) names only what differs from the defaults, each key as `llmops:<key>`. Unknown keys, wrong
types and contradictions are refused with one sentence each before anything is touched.

The secret map `llmops:apiKeys` (tenant → key) brings keys of your own; tenants without one get a generated key:
`sandbox/pulumi config set --secret --path 'llmops:apiKeys.team-a' <key> --stack <stack>`.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(title, model) for title, model in _models("llmops", Settings))


def _models(title: str, model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    found = [(title, model)]
    for name, field in model.model_fields.items():
        inner = _inner(field.annotation)
        if inner:
            many = "[]" if get_origin(field.annotation) is tuple else ""
            found += _models(
                f"{title}:{field.alias or name}{many}" if title == "llmops" else f"{title}.{field.alias or name}{many}",
                inner,
            )
    return found


def _inner(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _section(title: str, model: type[BaseModel]) -> str:
    comments = _comments(model)
    rows = [
        f"\n## `{title}`\n\n{inspect.getdoc(model)}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n"
    ]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        kind = _type(field.annotation)
        kind += "".join(f", {word} {rule[1]}" for rule in _bounds(field.metadata) for word in [WORDS[rule[0]]])
        rows.append(f"| `{field.alias or name}` | {kind} | {default} | {comments.get(name, '')} |\n")
    return "".join(rows)


WORDS = {"ge": "at least", "le": "at most", "min_length": "at least this many:"}


def _bounds(metadata: list[Any]) -> list[tuple[str, Any]]:
    """The bounds of a field, as (name, value)."""
    return [(name, getattr(rule, name)) for rule in metadata for name in WORDS if getattr(rule, name, None) is not None]


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """The comments beside and above each field, from the source."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(model).splitlines():
        text = line.strip()
        if text.startswith("#"):
            above.append(text.lstrip("# "))
        elif match := re.match(r"(\w+): .*?(?:  # (.*))?$", text):
            found[match[1]] = " ".join([*above, *([match[2]] if match[2] else [])])
            above = []
        else:
            above = []
    return found


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{value!r}`".replace("|", "\\|") if value is not None else "none"


def _type(annotation: Any) -> str:
    inner = _inner(annotation)
    if inner:
        return "list of maps" if get_origin(annotation) is tuple else "map"
    text = str(annotation)
    if choices := re.search(r"Literal\[(.*?)\]", text):
        return "one of " + ", ".join(f"`{word}`" for word in choices[1].replace("'", "").split(", "))
    if text.startswith("dict"):
        return "map of text"
    if "tuple" in text:
        return "list of names"
    for kind, word in (("int", "integer"), ("float", "number"), ("str", "text"), ("bool", "yes or no")):
        if kind in text:
            return word
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
