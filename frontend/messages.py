"""Chat messages, checked one by one: text only, nothing dropped silently."""

from __future__ import annotations

from typing import cast

from frontend.errors import bad_request, unsupported
from frontend.fields import Json, wrong_type

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def read_messages(body: Json) -> list[dict[str, str]]:
    """The ``messages`` of a body as role, content and maybe name; raises `ApiError`."""
    value = body.get("messages")
    if value is None:
        raise bad_request("You must provide a 'messages' parameter.", "messages", "missing_required_parameter")
    if not isinstance(value, list):
        raise wrong_type("messages", "an array of messages", value)
    items = cast("list[object]", value)
    if not items:
        raise bad_request("'messages' must have at least one message.", "messages", "invalid_value")
    return [_message(item, f"messages[{index}]") for index, item in enumerate(items)]


def _message(item: object, where: str) -> dict[str, str]:
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    fields = cast(Json, item)
    role = fields.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        allowed = ", ".join(sorted(_ROLES))
        raise bad_request(
            f"Invalid value for '{where}.role': supported are {allowed}.", f"{where}.role", "invalid_value"
        )
    for name in ("tool_calls", "function_call", "audio", "refusal"):
        if fields.get(name):
            raise unsupported(f"{where}.{name}")
    message = {"role": _ROLES[role], "content": _content(fields.get("content"), f"{where}.content")}
    name = fields.get("name")
    if name is not None:
        if not isinstance(name, str):
            raise wrong_type(f"{where}.name", "a string", name)
        message["name"] = name
    return message


def _content(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(where, "a string or an array of text parts", value)
    return "".join(_part(part, f"{where}[{index}]") for index, part in enumerate(cast("list[object]", value)))


def _part(part: object, where: str) -> str:
    if not isinstance(part, dict):
        raise wrong_type(where, "an object", part)
    fields = cast(Json, part)
    if fields.get("type") != "text":
        raise unsupported(where, f"'{where}' is not a text part; this server takes text only.")
    text = fields.get("text")
    if not isinstance(text, str):
        raise wrong_type(f"{where}.text", "a string", text)
    return text
