"""Sets of metric queries, as GetMetricData, alarms and graphs have them: from the store to series.

Queries name metrics or expressions over one another.  Periods are whole multiples since the epoch,
as the functions of metric math count them; the start of a range is rounded down to one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from openecs.metrics.labels import LabelFacts, Timezone, rendered
from openecs.metrics.metric import MetricKey, dimensions
from openecs.metrics.retention import DAY
from openecs.metrics.statistics import Statistic, parse_statistic, values_of
from openecs.metrics.store import MetricStore
from openecs.planning import metric_math
from openecs.planning.metric_math import Context, Expression, MetricMathError, Range, Search, Series
from openecs.shapes import cloudwatch

#: Periods below a minute that there are, in seconds.
SHORT_PERIODS = (1, 5, 10, 20, 30)
#: The period of an expression that names no metric and has none itself.
USUAL_PERIOD = 300
#: Seconds for which a metric without new data is found by SEARCH and listed.
LISTED_FOR = 14 * DAY
_ID = re.compile(r"[a-z][A-Za-z0-9_]{0,254}")


class QueryError(ValueError):
    """The queries are wrong, whatever the data are; the text says which and how."""


@dataclass(frozen=True, slots=True)
class Result:
    """One series of a query's result, ascending; times in seconds since the epoch, period in seconds."""

    id: str
    label: str
    timestamps: Sequence[float]
    values: Sequence[float]
    period: int


def check_period(period: int) -> bool:
    """Whether there is data of such a period at all."""
    return period in SHORT_PERIODS or (period > 0 and period % 60 == 0)


def evaluate(
    store: MetricStore,
    queries: Sequence[cloudwatch.MetricDataQuery],
    *,
    region: str,
    start: float,
    end: float,
    now: float,
    account: str = "",
    timezone: Timezone = 0,
) -> list[Result]:
    """The results of the queries that return data, in their order; an expression may have several.

    Data from ``start`` until before ``end`` counts; both and ``now`` are seconds since the epoch.
    ``account`` and ``timezone`` (seconds east of UTC) are for labels.  Raises ``QueryError``.
    """
    found = _Evaluation(store, queries, region, Range(start, end, USUAL_PERIOD), now).results()
    results: list[Result] = []
    for query in queries:
        if query.return_data is False:
            continue
        result = found[query.id]
        for series in (result,) if isinstance(result, Series) else result:
            facts = LabelFacts(series, query.metric_stat, region, account, now, timezone)
            label = _label(query, series, several=not isinstance(result, Series), facts=facts)
            results.append(Result(query.id, label, series.timestamps, series.values, series.period))
    return results


def check(queries: Sequence[cloudwatch.MetricDataQuery]) -> None:
    """Raise the ``QueryError`` that ``evaluate`` would raise, without data."""
    parsed = _Parsed(queries)
    empty: dict[str, metric_math.Result] = {name: Series() for name in parsed.metrics}
    for name in parsed.order:
        with _naming(name):
            empty[name] = metric_math.check(parsed.expressions[name], empty, list(parsed.metrics))


class _Parsed:
    """Queries that are in order one by one, and the order of those that refer to others."""

    def __init__(self, queries: Sequence[cloudwatch.MetricDataQuery]) -> None:
        self.metrics: dict[str, tuple[cloudwatch.MetricStat, Statistic]] = {}
        self.expressions: dict[str, Expression] = {}
        self.periods: dict[str, int] = {}
        for query in queries:
            self._take(query)
        known = self.metrics.keys() | self.expressions.keys()
        for name, expression in self.expressions.items():
            unknown = sorted(expression.names() - known)
            if unknown:
                raise QueryError(f"Error in expression '{name}': Undefined variable '{unknown[0]}'")
        try:
            self.order = metric_math.evaluation_order(self.expressions)
        except MetricMathError as error:
            raise QueryError(str(error)) from None

    def _take(self, query: cloudwatch.MetricDataQuery) -> None:
        if not _ID.fullmatch(query.id):
            raise QueryError(
                f"The value {query.id} for parameter MetricDataQueries.member.Id is not matching the expected pattern "
                "^[a-z][a-zA-Z0-9_]*$."
            )
        if query.id in self.metrics or query.id in self.expressions:
            raise QueryError(f"The values for parameter id in MetricDataQueries are not unique: {query.id}.")
        if (query.expression is None) == (query.metric_stat is None):
            raise QueryError(
                f"Exactly one of the parameters Expression and MetricStat must be given for the query {query.id}."
            )
        if query.period is not None:
            if query.metric_stat is not None:
                raise QueryError(f"The query {query.id} has a Period beside that of its MetricStat.")
            self._check_period(query.id, query.period)
            self.periods[query.id] = query.period
        if query.expression is not None:
            with _naming(query.id):
                self.expressions[query.id] = metric_math.parse(query.expression)
        if query.metric_stat is not None:
            self._take_metric(query.id, query.metric_stat)

    def _take_metric(self, name: str, stat: cloudwatch.MetricStat) -> None:
        statistic = parse_statistic(stat.stat)
        if statistic is None:
            raise QueryError(
                f"The value {stat.stat} for parameter MetricDataQueries.member.MetricStat.Stat is invalid."
            )
        if stat.metric.namespace is None or stat.metric.metric_name is None:
            raise QueryError(f"The metric of the query {name} needs a Namespace and a MetricName.")
        self._check_period(name, stat.period)
        self.metrics[name] = (stat, statistic)

    def _check_period(self, name: str, period: int) -> None:
        if not check_period(period):
            raise QueryError(
                f"The period {period} of the query {name} is invalid. It must be 1, 5, 10, 20, 30 or a multiple of 60."
            )


class _naming:  # noqa: N801 -- reads as a word of the language
    """Names the expression in what is raised within."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, MetricMathError):
            raise QueryError(f"Error in expression '{self._name}': {error}") from None


class _Evaluation:
    def __init__(
        self,
        store: MetricStore,
        queries: Sequence[cloudwatch.MetricDataQuery],
        region: str,
        wanted: Range,
        now: float,
    ) -> None:
        self._store = store
        self._region = region
        self._range = wanted
        self._now = now
        self._parsed = _Parsed(queries)

    def results(self) -> Mapping[str, metric_math.Result]:
        """What every query gives, by its id."""
        parsed = self._parsed
        found: dict[str, metric_math.Result] = {}
        for name, (stat, statistic) in parsed.metrics.items():
            key = MetricKey(
                self._region,
                stat.metric.namespace or "",
                stat.metric.metric_name or "",
                dimensions({one.name: one.value for one in stat.metric.dimensions or ()}),
            )
            found[name] = self._read(key, statistic, stat.period, stat.unit, key.name)
        for name in parsed.order:
            expression = parsed.expressions[name]
            period = self._period(name, expression)
            context = Context(
                replace(self._range, period=period), list(parsed.metrics), partial(self._search, period=period)
            )
            with _naming(name):
                found[name] = metric_math.evaluate(expression, found, context)
        return found

    def _period(self, name: str, expression: Expression) -> int:
        """The period of an expression: its own, or the longest of what it refers to."""
        given = self._parsed.periods.get(name)
        if given is None:
            referred = self._parsed.metrics if expression.calls("METRICS") else expression.names()
            known = {one: stat.period for one, (stat, _) in self._parsed.metrics.items()} | self._parsed.periods
            searched = (search.period for search in expression.searches() if search.period)
            given = max(chain((known[one] for one in referred if one in known), searched), default=USUAL_PERIOD)
            self._parsed.periods[name] = given
        return given

    def _read(self, key: MetricKey, statistic: Statistic, period: int, unit: str | None, label: str) -> Series:
        start = math.floor(self._range.start / period) * period
        block = self._store.rows(key, start, self._range.end, period, unit, distributions=statistic.needs_distribution)
        times, values = values_of(block, statistic)
        return Series(times, values, period, label)

    def _search(self, search: Search, *, period: int) -> Iterable[Series]:
        statistic = parse_statistic(search.statistic)
        if statistic is None:
            raise MetricMathError(f"Invalid statistic '{search.statistic}' in SEARCH")
        recent = self._now - LISTED_FOR
        metrics = (key for key in self._store.metrics(self._region) if self._store.last(key) >= recent)
        found = metric_math.find(search.query, metrics)
        one_name = len({key.name for key in found}) == 1
        for key in found:
            words = [value for _, value in key.dimensions]
            label = " ".join(words) if one_name and words else " ".join([key.name, *words])
            yield self._read(key, statistic, search.period or period, None, label)


def _label(query: cloudwatch.MetricDataQuery, series: Series, *, several: bool, facts: LabelFacts) -> str:
    usual = series.label if several or query.metric_stat is not None else query.id
    if not query.label:
        return usual or query.id
    label = rendered(query.label, usual or query.id, facts)
    # Series of one expression are told apart, unless the label does so itself.
    return f"{label} {series.label}" if several and series.label and "${" not in query.label else label
