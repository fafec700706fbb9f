"""SEARCH: which metrics a query finds.  The caller lists the metrics and fetches their data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from openecs.planning.metric_math.search_syntax import All, Any, Condition, Not, Query, Term

#: As many series as one search gives at most.
MAX_RESULTS = 500


class Metric(Protocol):
    """What a search looks at; a ``MetricKey`` is one."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> Sequence[tuple[str, str]]: ...


M = TypeVar("M", bound=Metric)


@dataclass(frozen=True, slots=True)
class Search:
    """A call of SEARCH; without ``period`` (seconds) that of the expression holds."""

    query: Query
    statistic: str
    period: int | None = None


def find(query: Query, metrics: Iterable[M]) -> list[M]:
    """The metrics that a query finds, sorted by namespace, name and dimensions; at most ``MAX_RESULTS``."""
    found = [metric for metric in metrics if matches(query, metric)]
    found.sort(key=lambda metric: (metric.namespace, metric.name, metric.dimensions))
    return found[:MAX_RESULTS]


def matches(query: Query, metric: Metric) -> bool:
    """Whether a query finds a metric."""
    if query.namespace not in {None, metric.namespace}:
        return False
    if query.dimension_names and {name for name, _ in metric.dimensions} != set(query.dimension_names):
        return False
    return _holds(query.condition, metric)


def _holds(condition: Condition, metric: Metric) -> bool:
    match condition:
        case Not():
            return not _holds(condition.operand, metric)
        case All():
            return all(_holds(operand, metric) for operand in condition.operands)
        case Any():
            return any(_holds(operand, metric) for operand in condition.operands)
        case Term():
            places = _places(condition.of, metric)
            return condition.text in places if condition.exact else any(map(condition.wanted.found_in, places))


def _places(of: str | None, metric: Metric) -> list[str]:
    """The names and values that a term is looked for in."""
    if of is None:
        return [metric.name, metric.namespace, *(text for pair in metric.dimensions for text in pair)]
    if of == "MetricName":
        return [metric.name]
    if of == "Namespace":
        return [metric.namespace]
    return [value for name, value in metric.dimensions if name == of]
