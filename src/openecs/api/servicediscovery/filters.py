"""The ``Filters`` of the list operations: which names take which conditions.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from openecs.api.servicediscovery.errors import invalid_input
from openecs.wire import form_values

T = TypeVar("T")


class Filter(Protocol):
    """What the three filter shapes have in common."""

    @property
    def name(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def condition(self) -> str | None: ...


#: Filter name → the text of an item that is compared, and the conditions that may be asked for.
Rules = Mapping[str, tuple[Callable[[T], str], frozenset[str]]]


def apply(items: Iterable[T], filters: tuple[Filter, ...] | None, rules: Rules[T]) -> list[T]:
    """The items that match all filters.  Raises InvalidInput for a filter that cannot be."""
    kept = list(items)
    for wanted in filters or ():
        text_of, conditions = rules[wanted.name]
        condition = wanted.condition or "EQ"
        if condition not in conditions:
            raise invalid_input(f"The condition {condition} is not supported for the filter {wanted.name}")
        matches = _test(wanted.name, condition, wanted.values)
        kept = [item for item in kept if matches(text_of(item))]
    return kept


def _test(name: str, condition: str, values: tuple[str, ...]) -> Callable[[str], bool]:
    if condition == "BETWEEN":
        if len(values) != 2:
            raise invalid_input(f"The filter {name} with the condition BETWEEN takes two values")
        first, last = (form_values.double(value) for value in values)
        if first is None or last is None:
            raise invalid_input(f"The values of the filter {name} must be Unix times")
        if first > last:
            raise invalid_input(f"The first value of the filter {name} must not be after the second")
        return lambda text: first <= float(text) <= last
    if not values or (condition != "IN" and len(values) != 1):
        raise invalid_input(f"The filter {name} with the condition {condition} takes one value")
    if condition == "BEGINS_WITH":
        return lambda text: text.startswith(values[0])
    return lambda text: text in values
