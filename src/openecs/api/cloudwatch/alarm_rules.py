"""Which settings make a metric alarm: CloudWatch's rules, and what OpenECS does not do.

Returns settings with their defaults filled in, as DescribeAlarms shows them.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import msgspec

from openecs.api.cloudwatch.alarm_errors import combination, validation
from openecs.control.alarm_changes import is_scaling_policy
from openecs.metrics.query import QueryError, check
from openecs.metrics.statistics import parse_statistic
from openecs.planning.alarms.verdict import COMPARISONS
from openecs.planning.alarms.window import period_of
from openecs.planning.metric_math import parse
from openecs.shapes import cloudwatch as cw

DAY, WEEK, HOUR = 86400, 7 * 86400, 3600
#: Queries for metrics in one alarm.
MAX_METRICS = 10
_MISSING = ("breaching", "notBreaching", "ignore", "missing")
#: What an alarm on metric math has in its queries instead.
_OF_ONE_METRIC = ("namespace", "metric_name", "dimensions", "period", "unit", "statistic", "extended_statistic")
_UNSERVED = {
    "evaluation_criteria": "EvaluationCriteria (PromQL alarms)",
    "evaluation_interval": "EvaluationInterval (PromQL alarms)",
    "warm_up_configuration": "WarmUpConfiguration",
    "threshold_metric_id": "ThresholdMetricId (anomaly detection)",
}


def metric_alarm(given: cw.PutMetricAlarmInput, topics: Collection[str]) -> cw.PutMetricAlarmInput:
    """The settings of a metric alarm, complete and without tags; raises what CloudWatch would."""
    _refuse_unserved(given)
    check_name(given.alarm_name)
    check_actions((given.ok_actions, given.alarm_actions, given.insufficient_data_actions), topics, scaling=True)
    for name in ("evaluation_periods", "comparison_operator", "threshold"):
        if getattr(given, name) is None:
            raise validation(f"The parameter {_pascal(name)} is required for an alarm on a threshold.")
    if given.threshold is not None and not math.isfinite(given.threshold):
        raise validation("Threshold must be a finite number.")
    if given.comparison_operator not in COMPARISONS:
        raise validation(f"OpenECS has no anomaly detection, which {given.comparison_operator} is for.")
    if given.metrics is None:
        _check_metric(given)
    else:
        _check_queries(given)
    _check_range(given)
    if given.treat_missing_data not in (None, *_MISSING):
        raise validation(
            f"The value '{given.treat_missing_data}' is not supported for TreatMissingData parameter. "
            f"Supported values are [{', '.join(_MISSING)}]."
        )
    if given.evaluate_low_sample_count_percentile not in (None, "evaluate", "ignore"):
        raise validation(
            f"Option {given.evaluate_low_sample_count_percentile} is not supported. Supported options for parameter "
            "EvaluateLowSampleCountPercentile are evaluate and ignore."
        )
    return msgspec.structs.replace(
        given,
        tags=None,
        actions_enabled=given.actions_enabled is not False,
        ok_actions=given.ok_actions or (),
        alarm_actions=given.alarm_actions or (),
        insufficient_data_actions=given.insufficient_data_actions or (),
        dimensions=(given.dimensions or ()) if given.metrics is None else None,
        treat_missing_data=given.treat_missing_data or "missing",
        metrics=None if given.metrics is None else tuple(map(_complete, given.metrics)),
    )


def check_name(name: str) -> None:
    """Refuse names with control characters."""
    if not name.isprintable():
        raise validation("AlarmName must contain only UTF-8 characters and must not contain ASCII control characters")


def check_actions(lists: Collection[tuple[str, ...] | None], topics: Collection[str], *, scaling: bool) -> None:
    """Refuse actions that nobody would carry out; ``scaling`` is whether scaling policies may be among them."""
    for action in (action for actions in lists for action in actions or ()):
        if scaling and is_scaling_policy(action):
            continue
        if action.startswith("arn:aws:sns:"):
            if action not in topics:
                raise validation(
                    f"OpenECS has no SNS, so nobody would hear of the action {action}. Start it with "
                    f"--alarm-topic {action}=https://... to have such messages posted to a URL."
                )
            continue
        raise validation(
            f"Invalid alarm action: OpenECS cannot carry out {action}. It can call "
            f"{'scaling policies and ' if scaling else ''}SNS topics that --alarm-topic maps to a URL; rules of "
            "EventBridge hear of every change of an alarm's state."
        )


def _refuse_unserved(given: cw.PutMetricAlarmInput) -> None:
    for name, told in _UNSERVED.items():
        if getattr(given, name) is not None:
            raise validation(f"{told} is not supported by OpenECS.")
    if given.evaluation_window is not None and given.evaluation_window.wall_clock_window is not None:
        raise validation("EvaluationWindow.WallClockWindow is not supported by OpenECS.")
    refuse_tag_propagation(given.action_configuration)


def refuse_tag_propagation(configuration: cw.ActionConfiguration | None) -> None:
    """Refuse tags in notifications."""
    propagation = configuration.alarm_tags_propagation if configuration is not None else None
    if propagation is not None and propagation.enabled:
        raise validation("ActionConfiguration.AlarmTagsPropagation is not supported by OpenECS.")


def _check_metric(given: cw.PutMetricAlarmInput) -> None:
    for name in ("metric_name", "namespace", "period"):
        if getattr(given, name) is None:
            raise validation(f"The parameter {_pascal(name)} is required for an alarm on one metric.")
    if (given.statistic is None) == (given.extended_statistic is None):
        raise combination("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if given.extended_statistic is not None:
        _check_statistic(given.extended_statistic, "ExtendedStatistic")
    _check_period(given.period or 0)


def _check_queries(given: cw.PutMetricAlarmInput) -> None:
    queries = given.metrics or ()
    for name in _OF_ONE_METRIC:
        if getattr(given, name):
            raise combination(f"{_pascal(name)} cannot be specified together with Metrics.")
    try:
        check(queries)
    except QueryError as error:
        raise validation(str(error)) from None
    if sum(query.return_data is not False for query in queries) != 1:
        raise validation("Exactly one element of the metrics list should return data.")
    metrics = [query.metric_stat for query in queries if query.metric_stat is not None]
    if len(metrics) > MAX_METRICS:
        raise validation(f"An alarm can have at most {MAX_METRICS} metrics.")
    if len({metric.period for metric in metrics}) != 1:
        raise validation("An alarm must have metrics, and they must all have the same period.")
    _check_period(metrics[0].period)
    if any(query.account_id is not None for query in queries):
        raise validation("Metrics.AccountId is not supported by OpenECS: there is one account.")
    if any(query.expression is not None and parse(query.expression).searches() for query in queries):
        raise validation("SEARCH is not supported on Metric Alarms.")


def _check_range(given: cw.PutMetricAlarmInput) -> None:
    periods = given.evaluation_periods or 1
    if given.datapoints_to_alarm is not None and given.datapoints_to_alarm > periods:
        raise validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    period = period_of(given)
    longest = WEEK if period >= HOUR else DAY
    if periods * period > longest:
        told = "a day" if longest == DAY else "seven days"
        raise validation(
            f"Metrics cannot be checked across more than {told} (EvaluationPeriods * Period must be <= {longest})."
        )


def _check_period(period: int) -> None:
    if period not in (10, 20, 30) and period % 60:
        raise validation("Period must be 10, 20, 30 or a multiple of 60.")


def _check_statistic(name: str, member: str) -> None:
    if parse_statistic(name) is None:
        raise validation(f"The value {name} for parameter {member} is not supported.")


def _complete(query: cw.MetricDataQuery) -> cw.MetricDataQuery:
    return msgspec.structs.replace(query, return_data=query.return_data is not False)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
