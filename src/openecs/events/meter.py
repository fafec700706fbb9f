"""The metrics of EventBridge: namespace AWS/Events, dimensions by rule and bus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openecs.clock import Clock
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.event_rule import DEFAULT_BUS

NAMESPACE = "AWS/Events"


class Meter:
    """Counts; ``add`` is the metric store's."""

    def __init__(self, add: Callable[[Iterable[Datum]], None], clock: Clock) -> None:
        self._add = add
        self._clock = clock

    def count(self, name: str, region: str, rule: str, bus: str = DEFAULT_BUS, amount: float = 1.0) -> None:
        """One observation of a metric of a rule; rules of custom buses have their bus as a dimension too."""
        members = {"RuleName": rule} if bus == DEFAULT_BUS else {"RuleName": rule, "EventBusName": bus}
        key = MetricKey(region, NAMESPACE, name, dimensions(members))
        self._add((single(key, self._clock.now(), amount, "Count"),))
