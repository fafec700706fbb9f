"""Property selectors of JSON patterns: ``$.users[0].id``, ``$.list[*].name``, ``$.['two words']``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from openecs.logs.patterns.errors import PatternError

_STEP = re.compile(
    r"""\.?\[\s*(?:(?P<index>\d{1,9})|(?P<any>\*)|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\]
                     | \.(?P<every>\*)(?=[.\[]|$) | \.(?P<name>[^.\[\]*\s]+)""",
    re.VERBOSE,
)
#: How many wildcards one selector may have.
MOST_WILDCARDS = 3
_EVERY = object()
_NOTHING = object()


class Selector:
    """Finds the values of a decoded JSON message that a selector names."""

    def __init__(self, text: str) -> None:
        """Raises ``PatternError`` when ``text`` is no selector."""
        self.text = text
        self._steps: list[object] = []
        if not text.startswith("$") or text == "$":
            raise PatternError(f"{text} in the filter pattern is no property selector, like $.name.")
        place = 1
        while place < len(text):
            step = _STEP.match(text, place)
            if step is None:
                raise PatternError(f"The property selector {text} in the filter pattern is not valid.")
            self._steps.append(_step(step))
            place = step.end()
        wildcards = self._steps.count(_EVERY)
        self._several = wildcards > 0
        if wildcards > MOST_WILDCARDS:
            raise PatternError(f"The property selector {text} has more than {MOST_WILDCARDS} wildcards.")

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    @property
    def names(self) -> list[str]:
        """The names of properties that a message must have for the selector to find anything."""
        return [step for step in self._steps if isinstance(step, str)]

    def find(self, document: object) -> Iterable[object]:
        """The values; none when the document has no such property, several only with wildcards."""
        if self._several:
            return _walk(document, self._steps, 0)
        for step in self._steps:
            document = _inside(document, step)
        return () if document is _NOTHING else (document,)


def _step(match: re.Match[str]) -> object:
    if match["index"] is not None:
        return int(match["index"])
    if match["any"] or match["every"]:
        return _EVERY
    return next(name for name in (match["single"], match["double"], match["name"]) if name is not None)


def _walk(value: object, steps: list[object], place: int) -> Iterator[object]:
    for number in range(place, len(steps)):
        step = steps[number]
        if step is _EVERY:
            inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
            for each in inner:
                yield from _walk(each, steps, number + 1)
            return
        value = _inside(value, step)
    if value is not _NOTHING:
        yield value


def _inside(value: object, step: object) -> object:
    if isinstance(value, dict):
        return value.get(step, _NOTHING)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _NOTHING
