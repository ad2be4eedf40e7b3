"""Chat messages to prompt text, by the model's own template in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from frontend.errors import bad_request

Message = Mapping[str, str]


class RefusedError(TemplateError):
    """The template itself refuses the messages (``raise_exception``)."""


def _raise_exception(message: str) -> NoReturn:
    raise RefusedError(message)


def _tojson(value: object, indent: int | None = None) -> str:
    # Jinja's own tojson escapes HTML, which no model was trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


class ChatTemplate:
    """One model's template, compiled once, with the globals Hugging Face templates use."""

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _tojson
        names: dict[str, Any] = {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
        self._template = environment.from_string(source, globals=names)
        self._special: dict[str, Any] = dict(special)

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that asks for the assistant's next turn; refusals of the template are 400s."""
        try:
            return self._template.render(messages=messages, add_generation_prompt=True, **self._special)
        except TemplateError as error:
            message = f"The model's chat template refuses these messages: {error.message or 'no reason given'}."
            raise bad_request(message, "messages", "invalid_value") from None
