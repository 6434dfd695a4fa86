"""The plain templates of MQTT discovery: a value picked out of a payload, and values put into a command.

{{ value }}   {{ value_json.state }}   {{ value_json['state'] }}   {{ value_json.color.x | float }}   -> pick_value
{"position": {{ position }}}                                                                         -> fill_command

Everything else is Jinja, which is a programming language: it is refused by name rather than guessed at.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from voice_rl_plugin.errors import MessageError

_STEP = r"\.\s*[^\W\d]\w*|\[\s*(?:'[^'\\]*'|\"[^\"\\]*\"|\d+)\s*\]"
_FILTERS = r"(?:\s*\|\s*(?:int|float)(?:\s*\(\s*-?\d+(?:\.\d+)?\s*\))?)?"
_PICK = re.compile(rf"\s*\{{\{{-?\s*(value_json|value)((?:{_STEP})*)({_FILTERS})\s*-?\}}\}}\s*")
_ONE_STEP = re.compile(r"\.\s*(\w+)|\[\s*(?:'([^']*)'|\"([^\"]*)\"|(\d+))\s*\]")
_PUT = re.compile(rf"\{{\{{-?\s*(\w+)({_FILTERS})\s*-?\}}\}}")
_FORMS = "{{ value }}, {{ value_json.key }} or {{ value_json['key'] }}, with | int or | float"

Pick = Callable[[str], str | None]
"""From a payload to the value in it; None when it is not there."""


def pick_value(template: str | None, *, where: str) -> Pick:
    """Return what picks the value that a template names; the whole payload without one.

    Raises:
        MessageError: the template is none of the plain forms.
    """
    if template is None or not template.strip():
        return str
    found = _PICK.fullmatch(template)
    if found is None or (found[1] == "value" and found[2]):
        raise MessageError(f"{where}: expected one of the plain templates {_FORMS}, got {template!r:.120}")
    steps = tuple(_step_of(one) for one in _ONE_STEP.finditer(found[2]))
    is_json, convert = found[1] == "value_json", _filter_of(found[3])

    def pick(payload: str) -> str | None:
        value: Any = payload
        if is_json:
            try:
                value = json.loads(payload)
            except (ValueError, RecursionError):
                return None
        for step in steps:
            value = _member(value, step)
        if value is None or isinstance(value, (dict, list)):
            return None
        return convert(str(value))

    return pick


def fill_command(template: str | None, *, names: Collection[str] = ("value",), where: str) -> Callable[..., str]:
    """Return what puts named values into a template; without one the only value is the command.

    Raises:
        MessageError: the template does more than that.
    """
    if template is None or not template.strip():
        return lambda **values: ",".join(_shown(one) for one in values.values())
    parts = _PUT.split(template)
    literals, used, filters = parts[0::3], parts[1::3], parts[2::3]
    if any("{{" in one or "{%" in one or "{#" in one for one in literals) or not set(used) <= set(names):
        wanted = ", ".join(f"{{{{ {name} }}}}" for name in names)
        raise MessageError(f"{where}: expected a text with {wanted} in it and no other template, got {template!r:.120}")
    converts = [_filter_of(one) for one in filters]

    def fill(**values: Any) -> str:
        filled = [convert(_shown(values[name])) or "" for name, convert in zip(used, converts, strict=True)]
        return literals[0] + "".join(value + rest for value, rest in zip(filled, literals[1:], strict=True))

    return fill


def _step_of(found: re.Match[str]) -> str | int:
    return int(found[4]) if found[4] is not None else next(one for one in found.groups()[:3] if one is not None)


def _member(value: Any, step: str | int) -> Any:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _filter_of(text: str) -> Callable[[str], str | None]:
    if "|" not in text:
        return str
    is_int = "int" in text

    def convert(value: str) -> str | None:
        try:
            number = float(value)
            return str(int(number)) if is_int else str(number)
        except (ValueError, OverflowError):
            return None

    return convert


def _shown(value: Any) -> str:
    """Return a value as Jinja would write it; a whole number without its point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
