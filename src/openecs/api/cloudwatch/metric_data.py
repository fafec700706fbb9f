"""PutMetricData: measurements of callers, checked as a whole and durable before the reply."""

from __future__ import annotations

import math
from collections.abc import Iterator

from openecs.api.cloudwatch.errors import combination, invalid_value, missing
from openecs.errors import AWSError
from openecs.metrics.metric import Datum, MetricKey, dimensions
from openecs.metrics.retention import DAY, HOUR
from openecs.metrics.store import MetricStore
from openecs.shapes import cloudwatch as cw
from openecs.wire.call import Call, Handlers

MOST_METRICS = 1000
MOST_VALUES = 150
#: The largest absolute value.
LARGEST = 2.0**360
#: How far from now timestamps may lie, in seconds.
PAST, FUTURE = 14 * DAY, 2 * HOUR


class MetricData:
    """The operation that takes measurements."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"PutMetricData": self.put}

    async def put(self, call: Call, request: cw.PutMetricDataInput) -> None:
        """Add measurements to their metrics; all of a call or none."""
        if request.entity_metric_data:
            raise invalid_value("The parameter EntityMetricData is not supported by OpenECS.")
        data = request.metric_data or ()
        if not data:
            raise missing("The parameter MetricData is required.")
        if len(data) > MOST_METRICS:
            raise invalid_value(f"The collection MetricData must not have a size greater than {MOST_METRICS}.")
        if request.namespace.startswith("AWS/") or not _is_name(request.namespace):
            raise invalid_value(f"The value {request.namespace} for parameter Namespace is invalid.")
        self._store.add(list(_checked(call, request.namespace, data)))
        await self._store.durable()


def _checked(call: Call, namespace: str, data: tuple[cw.MetricDatum, ...]) -> Iterator[Datum]:
    for number, one in enumerate(data, 1):
        try:
            yield _datum(call, namespace, one)
        except _WrongError as wrong:
            raise AWSError(wrong.code, wrong.text.replace("{}", f"MetricData.member.{number}")) from None


class _WrongError(Exception):
    """What is wrong with one measurement; ``{}`` stands for its path."""

    def __init__(self, refusal: AWSError) -> None:
        super().__init__(refusal.message)
        self.code = refusal.code
        self.text = refusal.message


def _datum(call: Call, namespace: str, one: cw.MetricDatum) -> Datum:
    key = MetricKey(call.region, namespace, one.metric_name, _dimensions(one.dimensions or ()))
    if not _is_name(one.metric_name):
        raise _WrongError(invalid_value(f"The value {one.metric_name} for parameter {{}}.MetricName is invalid."))
    timestamp = call.now if one.timestamp is None else one.timestamp
    if not call.now - PAST <= timestamp:
        raise _WrongError(invalid_value("The parameter {}.Timestamp must specify a time within the past two weeks."))
    if timestamp > call.now + FUTURE:
        raise _WrongError(
            invalid_value("The parameter {}.Timestamp must specify a time no more than two hours in the future.")
        )
    resolution = one.storage_resolution or 60
    if resolution not in (1, 60):
        raise _WrongError(invalid_value(f"The value {resolution} for parameter {{}}.StorageResolution is invalid."))
    unit = one.unit or "None"
    given = [
        name
        for name, member in (("Value", one.value), ("Values", one.values), ("StatisticValues", one.statistic_values))
        if member is not None
    ]
    if not given:
        raise _WrongError(
            missing("One of the parameters {}.Value, {}.Values and {}.StatisticValues must be specified.")
        )
    if len(given) > 1:
        raise _WrongError(
            combination(
                f"The parameters {{}}.{given[0]} and {{}}.{given[1]} are mutually exclusive and you have specified "
                "both."
            )
        )
    if one.counts is not None and one.values is None:
        raise _WrongError(combination("The parameter {}.Counts needs the parameter {}.Values."))
    if one.statistic_values is not None:
        return _set(key, timestamp, one.statistic_values, unit, resolution)
    values = (_finite(one.value, "Value"),) if one.value is not None else one.values or ()
    counts = one.counts if one.counts is not None else (1.0,) * len(values)
    _check_columns(values, counts)
    return Datum(key, timestamp, values, counts, unit=unit, resolution=resolution)


def _check_columns(values: tuple[float, ...], counts: tuple[float, ...]) -> None:
    if not values:
        raise _WrongError(missing("The parameter {}.Values must have a value."))
    if len(values) > MOST_VALUES:
        raise _WrongError(invalid_value(f"The collection {{}}.Values must not have a size greater than {MOST_VALUES}."))
    if len(counts) != len(values):
        raise _WrongError(combination("The parameters {}.Values and {}.Counts must have the same number of elements."))
    for value in values:
        _finite(value, "Values")
    for count in counts:
        if not 0 < count <= LARGEST:
            raise _WrongError(invalid_value(f"The value {_shown(count)} for parameter {{}}.Counts is invalid."))


def _set(key: MetricKey, timestamp: float, given: cw.StatisticSet, unit: str, resolution: int) -> Datum:
    low, high = _finite(given.minimum, "StatisticValues.Minimum"), _finite(given.maximum, "StatisticValues.Maximum")
    total, count = _finite(given.sum, "StatisticValues.Sum"), given.sample_count
    if not 0 < count <= LARGEST:
        raise _WrongError(
            invalid_value(f"The value {_shown(count)} for parameter {{}}.StatisticValues.SampleCount is invalid.")
        )
    if low > high:
        raise _WrongError(
            combination("The parameter {}.StatisticValues.Minimum must not be greater than {}.StatisticValues.Maximum.")
        )
    return Datum(key, timestamp, (), (), count, total, low, high, unit, resolution)


def _dimensions(given: tuple[cw.Dimension, ...]) -> tuple[tuple[str, str], ...]:
    named = {one.name: one.value for one in given}
    if len(named) < len(given):
        raise _WrongError(invalid_value("The parameter {}.Dimensions must not have two dimensions of one name."))
    for name, value in named.items():
        if not _is_name(name):
            raise _WrongError(invalid_value(f"The value {name} for parameter {{}}.Dimensions.Name is invalid."))
        if not value.isascii() or not value.isprintable() or value.isspace():
            raise _WrongError(invalid_value(f"The value {value} for parameter {{}}.Dimensions.Value is invalid."))
    return dimensions(named)


def _is_name(text: str) -> bool:
    """Printable ASCII that is not blank and does not begin with a colon."""
    return text.isascii() and text.isprintable() and not text.isspace() and not text.startswith(":")


def _finite(value: float, member: str) -> float:
    if math.isfinite(value) and abs(value) <= LARGEST:
        return value
    raise _WrongError(invalid_value(f"The value {_shown(value)} for parameter {{}}.{member} is invalid."))


def _shown(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("-" if value < 0 else "") + "Infinity" if math.isinf(value) else repr(value)
