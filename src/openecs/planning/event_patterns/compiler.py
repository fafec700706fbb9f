"""Objects and fields of patterns: which part of an event each test applies to.

A field whose value is an array matches when one of its elements does; tests of fields within an
array of objects must all hold for the same object.  A field that is not there has no value, and
only ``exists: false`` matches that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from openecs.planning.event_patterns.errors import InvalidPatternError
from openecs.planning.event_patterns.json_text import read
from openecs.planning.event_patterns.matchers import Matcher, matcher, single

#: A test of one object of the event.
Test = Callable[[dict[str, Any]], bool]

#: Combinations that all ``$or`` of a pattern may come to.
MAX_COMBINATIONS = 1000


class Pattern(NamedTuple):
    """A compiled pattern."""

    matches: Test
    #: The texts that ``source`` and ``detail-type`` must be one of; ``None`` where that is not all there is to it.
    sources: frozenset[str] | None
    detail_types: frozenset[str] | None


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern's JSON text; raises ``InvalidPatternError``."""
    try:
        found = read(text)
    except RecursionError:
        raise InvalidPatternError("The pattern is nested too deeply.") from None
    except ValueError as error:
        raise InvalidPatternError(f"JSON syntax: {error}") from None
    if not isinstance(found, dict):
        raise InvalidPatternError("Filter is not an object")
    test, _ = _object(found)
    return Pattern(test, _texts(found.get("source")), _texts(found.get("detail-type")))


def _texts(items: Any) -> frozenset[str] | None:
    if isinstance(items, list) and all(type(item) is str for item in items):
        return frozenset(items)
    return None


def _object(pattern: dict[str, Any]) -> tuple[Test, int]:
    """The test of an object, and how many combinations of ``$or`` it has."""
    if not pattern:
        raise InvalidPatternError("Empty objects are not allowed")
    tests: list[Test] = []
    combinations = 1
    for name, inner in pattern.items():
        if name == "$or" and isinstance(inner, list) and all(isinstance(part, dict) for part in inner):
            test, count = _either(inner)
        elif isinstance(inner, dict):
            deeper, count = _object(inner)
            test = _within(name, deeper)
        elif isinstance(inner, list):
            test, count = _field(name, inner), 1
        else:
            raise InvalidPatternError(f'"{name}" must be an object or an array')
        tests.append(test)
        combinations *= count
        if combinations > MAX_COMBINATIONS:
            raise InvalidPatternError("Rule is too complex. Try using fewer $or expressions.")
    if len(tests) == 1:
        return tests[0], combinations
    return lambda found: all(test(found) for test in tests), combinations


def _either(parts: list[dict[str, Any]]) -> tuple[Test, int]:
    if len(parts) < 2:
        raise InvalidPatternError("There must have at least 2 Objects in $or relationship.")
    compiled = [_object(part) for part in parts]
    tests = [test for test, _ in compiled]
    return lambda found: any(test(found) for test in tests), sum(count for _, count in compiled)


def _within(name: str, deeper: Test) -> Test:
    """The test of an object below a field; where there is none, of an empty one."""

    def matches(found: dict[str, Any]) -> bool:
        value = found.get(name)
        if isinstance(value, dict):
            return deeper(value)
        objects = [item for item in _elements(value) if isinstance(item, dict)] if isinstance(value, list) else []
        return any(deeper(item) for item in objects) if objects else deeper({})

    return matches


def _field(name: str, items: list[Any]) -> Test:
    if not items:
        raise InvalidPatternError("Empty arrays are not allowed")
    tests: list[Matcher] = []
    for_present = for_absent = False
    for item in items:
        if isinstance(item, dict) and "exists" in item:
            wanted = single(item)[1]
            if not isinstance(wanted, bool):
                raise InvalidPatternError("exists match pattern must be either true or false.")
            for_present, for_absent = for_present or wanted, for_absent or not wanted
        else:
            tests.append(matcher(item))

    def matches(found: dict[str, Any]) -> bool:
        absent = True
        for value in _elements(found[name]) if name in found else ():
            if isinstance(value, dict):
                continue
            if for_present or any(test(value) for test in tests):
                return True
            absent = False
        return absent and for_absent

    return matches


def _elements(value: Any) -> Iterator[Any]:
    """The values of a field: its own, or those of an array and of arrays within it."""
    if isinstance(value, list):
        for item in value:
            yield from _elements(item)
    else:
        yield value
