"""What a target gets of an event: all of it, a constant, a part, or what a template makes of it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from openecs.model.event import iso_milliseconds
from openecs.shapes import events

_STEP = re.compile(r"\.([A-Za-z0-9_@-]+)|\[(\d+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]|\[(\*)\]|\.(\*)")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_QUOTE_OR_PLACEHOLDER = re.compile(r'\\.|"|<([A-Za-z0-9_.-]+)>', re.DOTALL)
#: Placeholders that every template has.
RESERVED = frozenset(
    {
        "aws.events.rule-arn",
        "aws.events.rule-name",
        "aws.events.event.ingestion-time",
        "aws.events.event",
        "aws.events.event.json",
    }
)
_ABSENT: Final = object()
_EVERY = "*"

Steps = tuple[str | int, ...]


def parse_path(path: str) -> Steps:
    """The steps of a JSON path (``$.detail.items[0]['name']``); raises ``ValueError`` for what is none."""
    if not path.startswith("$"):
        raise ValueError(f"{path} is no JSON path")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{path} is no JSON path")
        name, index, single, double, star, dot_star = found.groups()
        if star or dot_star:
            steps.append(_EVERY)
        else:
            steps.append(int(index) if index is not None else name or single or double)
        at = found.end()
    return tuple(steps)


def placeholders(template: str) -> frozenset[str]:
    """The names in angle brackets."""
    return frozenset(_PLACEHOLDER.findall(template))


def payload(target: events.Target, event: str, *, rule_arn: str, rule_name: str, ingested_at: float) -> str:
    """The input of a target, for an event given as JSON text; ``ingested_at`` in seconds since the epoch."""
    if target.input is not None:
        return target.input
    if target.input_path is not None:
        found = _at(msgspec.json.decode(event), parse_path(target.input_path))
        return "null" if found is _ABSENT else _json(found)
    if target.input_transformer is None:
        return event
    whole = msgspec.json.decode(event)
    paths = target.input_transformer.input_paths_map or {}
    values: dict[str, Any] = {name: _at(whole, parse_path(path)) for name, path in paths.items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_name,
        "aws.events.event.ingestion-time": iso_milliseconds(ingested_at),
        "aws.events.event": {name: value for name, value in whole.items() if name != "detail"},
        "aws.events.event.json": whole,
    }
    return render(target.input_transformer.input_template, values)


def render(template: str, values: Mapping[str, Any]) -> str:
    """Put values into a template.

    Within quotes the text of a value, escaped; outside of them its JSON, or in a template that is
    plain text, its text.  What the event does not have is nothing within quotes and ``null`` outside.
    """
    as_json = template.lstrip()[:1] in ("{", "[", "<")
    quoted = False

    def replaced(found: re.Match[str]) -> str:
        nonlocal quoted
        name = found[1]
        if name is None:
            quoted = quoted != (found[0] == '"')
            return found[0]
        value = values.get(name, _ABSENT)
        if quoted:
            return _json(_text(value))[1:-1]
        if as_json:
            return "null" if value is _ABSENT else _json(value)
        return _text(value)

    return _QUOTE_OR_PLACEHOLDER.sub(replaced, template)


def _text(value: Any) -> str:
    if value is _ABSENT:
        return ""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _at(value: Any, steps: Steps) -> Any:
    for number, step in enumerate(steps):
        if step == _EVERY:
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            found = [_at(item, steps[number + 1 :]) for item in items]
            return [item for item in found if item is not _ABSENT]
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _ABSENT
            value = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                return _ABSENT
            value = value[step]
    return value
