"""What the configuration of a scaling policy may look like, and its defaults.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from openecs.api.application_autoscaling.lookup import validation
from openecs.planning.scaling.tracking_alarms import PREDEFINED, REQUESTS
from openecs.shapes import application_autoscaling as aas

MAX_STEPS = 20
LARGEST_TARGET = 2.0**360


def checked_step(settings: aas.StepScalingPolicyConfiguration) -> aas.StepScalingPolicyConfiguration:
    """The configuration of a step scaling policy; refuses what it cannot mean."""
    if settings.adjustment_type is None:
        raise validation("AdjustmentType is required for step scaling policies.")
    steps = settings.step_adjustments
    if not steps:
        raise validation("At least one StepAdjustment is required for step scaling policies.")
    if len(steps) > MAX_STEPS:
        raise validation(f"A step scaling policy can have {MAX_STEPS} step adjustments at most.")
    if settings.min_adjustment_magnitude is not None:
        if settings.adjustment_type != "PercentChangeInCapacity":
            raise validation(
                "MinAdjustmentMagnitude is only supported with the adjustment type PercentChangeInCapacity."
            )
        if settings.min_adjustment_magnitude < 1:
            raise validation("MinAdjustmentMagnitude must be greater than 0.")
    if settings.cooldown is not None and settings.cooldown < 0:
        raise validation("Cooldown must not be negative.")
    if settings.adjustment_type == "ExactCapacity" and any(step.scaling_adjustment < 0 for step in steps):
        raise validation("ScalingAdjustment must not be negative with the adjustment type ExactCapacity.")
    _check_intervals(steps)
    return settings


def _check_intervals(steps: Sequence[aas.StepAdjustment]) -> None:
    """The intervals of the steps lie side by side, and reach as far as AWS demands."""
    spans = []
    for step in steps:
        low, high = step.metric_interval_lower_bound, step.metric_interval_upper_bound
        if low is None and high is None and len(steps) > 1:
            raise validation("At least one of MetricIntervalLowerBound and MetricIntervalUpperBound must be given.")
        if low is not None and high is not None and low >= high:
            raise validation("MetricIntervalUpperBound must be greater than MetricIntervalLowerBound.")
        spans.append((-math.inf if low is None else low, math.inf if high is None else high))
    spans.sort()
    if sum(low == -math.inf for low, _ in spans) > 1:
        raise validation("At most one step adjustment may have no MetricIntervalLowerBound.")
    if sum(high == math.inf for _, high in spans) > 1:
        raise validation("At most one step adjustment may have no MetricIntervalUpperBound.")
    for (_, high), (low, _) in pairwise(spans):
        if high != low:
            raise validation("The intervals of step adjustments must not overlap and must have no gaps.")
    if spans[0][0] != -math.inf and spans[0][0] < 0:
        raise validation("A step adjustment with a negative lower bound needs one without MetricIntervalLowerBound.")
    if spans[-1][1] != math.inf and spans[-1][1] > 0:
        raise validation("A step adjustment with a positive upper bound needs one without MetricIntervalUpperBound.")


def checked_tracking(
    settings: aas.TargetTrackingScalingPolicyConfiguration,
) -> aas.TargetTrackingScalingPolicyConfiguration:
    """The configuration of a target tracking policy with its defaults; refuses what it cannot mean."""
    if not 0 < settings.target_value <= LARGEST_TARGET:
        raise validation("TargetValue must be greater than 0 and at most 2^360.")
    for name, seconds in (
        ("ScaleOutCooldown", settings.scale_out_cooldown),
        ("ScaleInCooldown", settings.scale_in_cooldown),
    ):
        if seconds is not None and seconds < 0:
            raise validation(f"{name} must not be negative.")
    predefined, custom = settings.predefined_metric_specification, settings.customized_metric_specification
    if (predefined is None) == (custom is None):
        raise validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified."
        )
    if predefined is not None:
        _check_predefined(predefined)
    if custom is not None:
        _check_custom(custom)
    return msgspec.structs.replace(settings, disable_scale_in=bool(settings.disable_scale_in))


def _check_predefined(metric: aas.PredefinedMetricSpecification) -> None:
    kind = metric.predefined_metric_type
    if kind not in PREDEFINED:
        raise validation(f"The predefined metric type {kind} is not supported for ECS services.")
    if (kind == REQUESTS) != (metric.resource_label is not None):
        raise validation(f"ResourceLabel must be specified for {REQUESTS}, and only for it.")


def _check_custom(metric: aas.CustomizedMetricSpecification) -> None:
    if not metric.metrics:
        if not metric.metric_name or not metric.namespace or metric.statistic is None:
            raise validation("A customized metric needs MetricName, Namespace and Statistic, or Metrics.")
        return
    if metric.metric_name or metric.namespace or metric.statistic or metric.dimensions or metric.unit:
        raise validation("Metrics cannot be combined with other members of CustomizedMetricSpecification.")
    if sum(query.return_data is not False for query in metric.metrics) != 1:
        raise validation("Exactly one element of Metrics must return data.")
    if len({query.id for query in metric.metrics}) != len(metric.metrics):
        raise validation("The ids of Metrics must differ.")
    for query in metric.metrics:
        if (query.expression is None) == (query.metric_stat is None):
            raise validation("Each element of Metrics needs either Expression or MetricStat.")
        stat = query.metric_stat
        if stat is not None and not (stat.metric.metric_name and stat.metric.namespace):
            raise validation("Each Metric needs MetricName and Namespace.")
