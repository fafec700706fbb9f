"""One log event as a query sees it: its own fields, those that were found in it, those that were computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from openecs.logs.insights.values import Moment, Value

#: Fields that are found in one JSON event, as AWS's limit.
MAX_FOUND = 200

_decode = msgspec.json.Decoder().decode


class Row:
    """Fields by name.  JSON is looked into when a field is asked for that nobody has set."""

    __slots__ = ("_json", "_looked", "own")

    def __init__(self, own: dict[str, Value]) -> None:
        self.own = own
        self._json: Any = None
        self._looked = False

    def get(self, name: str) -> Value:
        """The value of a field; nothing where there is none."""
        own = self.own
        if name in own:
            return own[name]
        if name.startswith("@"):
            return None
        return plain(_descend(self._document(), name))

    def found(self) -> Iterator[tuple[str, Value]]:
        """The fields that were found in the event, as many as count."""
        for number, (name, value) in enumerate(_flat(self._document(), "")):
            if number == MAX_FOUND:
                return
            yield name, value

    def _document(self) -> Any:
        if not self._looked:
            self._looked = True
            message = self.own.get("@message")
            if isinstance(message, str) and message.lstrip()[:1] == "{":
                try:
                    self._json = _decode(message)
                except msgspec.DecodeError:
                    self._json = None
        return self._json


def event_row(message: str, timestamp: int, ingestion_time: int, stream: str, log: str, pointer: str) -> Row:
    """The row of one event; times are epoch milliseconds, ``log`` is ``ACCOUNT:GROUP``."""
    return Row(
        {
            "@timestamp": Moment(timestamp),
            "@message": message,
            "@logStream": stream,
            "@log": log,
            "@ingestionTime": Moment(ingestion_time),
            "@ptr": pointer,
        }
    )


def plain(value: Any) -> Value:
    """A JSON value as a query has it: objects and lists are their texts."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return msgspec.json.encode(value).decode()


def _descend(document: Any, name: str) -> Any:
    if isinstance(document, Mapping) and name in document:
        return document[name]
    head, dot, rest = name.partition(".")
    while dot:
        if isinstance(document, Mapping) and head in document:
            return _descend(document[head], rest)
        if isinstance(document, list) and head.isdecimal() and int(head) < len(document):
            return _descend(document[int(head)], rest)
        # A key may have dots of its own.
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    if isinstance(document, list) and name.isdecimal() and int(name) < len(document):
        return document[int(name)]
    return None


def _flat(document: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _flat(value, f"{prefix}.{index}")
    elif prefix:
        yield prefix, plain(document)
