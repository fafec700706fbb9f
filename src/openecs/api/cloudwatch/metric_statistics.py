"""GetMetricStatistics and GetMetricData: what was measured, added up by periods."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from openecs.api.cloudwatch.errors import combination, invalid_value, missing, validation
from openecs.errors import AWSError
from openecs.metrics.labels import parse_timezone
from openecs.metrics.metric import MetricKey, dimensions
from openecs.metrics.query import QueryError, Result, check_period, evaluate
from openecs.metrics.retention import DAY, HOUR
from openecs.metrics.statistics import Statistic, parse_statistic, values_of
from openecs.metrics.store import MetricStore
from openecs.shapes import cloudwatch as cw
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Data points of one GetMetricStatistics.
MOST_STATISTICS = 1440
MOST_QUERIES = 500
#: Data points of one page of GetMetricData.
MOST_DATAPOINTS = 100_800
#: Bounds of what a calendar has, in seconds since the epoch.
EARLIEST, LATEST = 0.0, 253_402_300_799.0


class MetricStatistics:
    """The operations that read measurements."""

    def __init__(self, store: MetricStore, pagination: Pagination) -> None:
        self._store = store
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"GetMetricStatistics": self.statistics, "GetMetricData": self.data}

    def statistics(self, call: Call, request: cw.GetMetricStatisticsInput) -> cw.GetMetricStatisticsOutput:
        """Statistics of one metric, a data point per period and unit."""
        wanted = _wanted(request)
        period = request.period
        if not check_period(period):
            raise invalid_value("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds.")
        _check_times(request.start_time, request.end_time)
        start = _rounded(request.start_time, period, call.now)
        number = -int(-(request.end_time - start) // period)
        if number > MOST_STATISTICS:
            raise combination(
                f"You have requested up to {number:,} datapoints, which exceeds the limit of {MOST_STATISTICS:,}. You "
                "may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        key = MetricKey(
            call.region,
            request.namespace,
            request.metric_name,
            dimensions({one.name: one.value for one in request.dimensions or ()}),
        )
        units = [request.unit] if request.unit is not None else self._store.units(key)
        datapoints = [
            point
            for unit in units
            for point in _datapoints(self._store, key, start, request.end_time, period, unit, wanted)
        ]
        return cw.GetMetricStatisticsOutput(label=request.metric_name, datapoints=tuple(datapoints))

    def data(self, call: Call, request: cw.GetMetricDataInput) -> cw.GetMetricDataOutput:
        """The results of queries and expressions, newest data points first unless asked otherwise."""
        if len(request.metric_data_queries) > MOST_QUERIES:
            raise validation(f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.")
        if any(query.account_id not in (None, call.account) for query in request.metric_data_queries):
            raise validation("The parameter AccountId of another account is not supported by OpenECS.")
        _check_times(request.start_time, request.end_time)
        timezone = parse_timezone((request.label_options and request.label_options.timezone) or "+0000")
        if timezone is None:
            raise validation("The parameter LabelOptions.Timezone must have the form +hhmm or -hhmm.")
        try:
            results = evaluate(
                self._store,
                request.metric_data_queries,
                region=call.region,
                start=_rounded(request.start_time, 60, call.now),
                end=request.end_time,
                now=call.now,
                account=call.account,
                timezone=timezone,
            )
        except QueryError as error:
            raise validation(str(error)) from None
        descending = request.scan_by != "TimestampAscending"
        page, token = self._page(call, request, results)
        return cw.GetMetricDataOutput(
            metric_data_results=tuple(_shown(results, page, descending=descending)), next_token=token, messages=()
        )

    def _page(self, call: Call, request: cw.GetMetricDataInput, results: Sequence[Result]) -> tuple[range, str | None]:
        """Which data points a reply has, counted through all results, and the token of those that follow."""
        asked = msgspec.json.encode(msgspec.structs.replace(request, next_token=None, max_datapoints=None))
        total = sum(len(result.values) for result in results)
        most = request.max_datapoints
        if most is not None and most < 1:
            raise invalid_value("The parameter MaxDatapoints must be greater than 0.")
        try:
            page, token = self._pagination.paginate(
                range(total),
                max_results=min(most or MOST_DATAPOINTS, MOST_DATAPOINTS),
                next_token=request.next_token,
                default=MOST_DATAPOINTS,
                limit=MOST_DATAPOINTS,
                scope=f"GetMetricData/{call.region}/{hashlib.sha256(asked).hexdigest()}",
            )
        except AWSError:
            raise AWSError("InvalidNextToken", "The next token is invalid.") from None
        return range(page.start, page.stop) if isinstance(page, range) else range(0), token


def _shown(results: Sequence[Result], page: range, *, descending: bool) -> Iterator[cw.MetricDataResult]:
    """The results as far as their data points are on a page; those without any are on the first."""
    seen = 0
    for result in results:
        size = len(result.values)
        first, last = max(page.start - seen, 0), min(page.stop - seen, size)
        seen += size
        if (first >= last) if size else page.start > 0:
            continue
        timestamps, values = result.timestamps, result.values
        if descending:
            timestamps, values = timestamps[::-1], values[::-1]
        yield cw.MetricDataResult(
            id=result.id,
            label=result.label,
            timestamps=tuple(timestamps[first:last]),
            values=tuple(values[first:last]),
            status_code="Complete" if last == size else "PartialData",
        )


def _wanted(request: cw.GetMetricStatisticsInput) -> list[Statistic]:
    if request.statistics and request.extended_statistics:
        raise combination("The parameters Statistics and ExtendedStatistics are mutually exclusive.")
    names: Sequence[str] = request.statistics or request.extended_statistics or ()
    if not names:
        raise missing("Either the parameter Statistics or the parameter ExtendedStatistics must be specified.")
    wanted = []
    for name in names:
        statistic = parse_statistic(name)
        if statistic is None or statistic.needs_distribution != bool(request.extended_statistics):
            raise invalid_value(f"The value {name} for parameter ExtendedStatistics is not supported.")
        wanted.append(statistic)
    return wanted


def _datapoints(
    store: MetricStore,
    key: MetricKey,
    start: float,
    end: float,
    period: int,
    unit: str,
    wanted: Sequence[Statistic],
) -> Iterator[cw.Datapoint]:
    distributions = any(statistic.needs_distribution for statistic in wanted)
    block = store.rows(key, start, end, period, unit, distributions=distributions)
    columns = {one.name: dict(zip(*values_of(block, one), strict=True)) for one in wanted}
    for time in block.times:
        found = {name: values[time] for name, values in columns.items() if time in values}
        if distributions:
            if found:
                yield cw.Datapoint(timestamp=float(time), unit=_unit(unit), extended_statistics=found)
            continue
        yield cw.Datapoint(
            timestamp=float(time),
            unit=_unit(unit),
            sample_count=found.get("SampleCount"),
            average=found.get("Average"),
            sum=found.get("Sum"),
            minimum=found.get("Minimum"),
            maximum=found.get("Maximum"),
        )


def _unit(unit: str) -> cw.StandardUnit:
    return msgspec.convert(unit, cw.StandardUnit)  # type: ignore[no-any-return]


def _check_times(start: float, end: float) -> None:
    if not EARLIEST <= start < LATEST or not EARLIEST <= end < LATEST:
        raise invalid_value("The parameters StartTime and EndTime must be times since 1970.")
    if start >= end:
        raise invalid_value("The parameter StartTime must be less than the parameter EndTime.")


def _rounded(start: float, period: int, now: float) -> int:
    """The start of a range as CloudWatch rounds it down, by its age and by short periods."""
    age = now - start
    step = period if period < 60 else 60
    if age > 63 * DAY:
        step = HOUR
    elif age > 15 * DAY:
        step = 300
    return int(start // step) * step
