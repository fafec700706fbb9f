"""The alarms of target tracking policies, with AWS's names and settings.  Pure.

One alarm goes off when the metric is above the target for three periods, the other when it is
clearly below it for fifteen; a policy that removes no capacity has the first only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from openecs.model.alarm import MetricAlarm, alarm_arn
from openecs.model.scaling import ScalableTarget, ScalingPolicy
from openecs.shapes import application_autoscaling as aas
from openecs.shapes import cloudwatch

HIGH_PERIODS, LOW_PERIODS = 3, 15
#: The part of the target below which there is too much capacity.
LOW_PART = 0.9

_UTILIZATION: dict[str, tuple[str, int]] = {
    "ECSServiceAverageCPUUtilization": ("CPUUtilization", 60),
    "ECSServiceAverageMemoryUtilization": ("MemoryUtilization", 60),
    "ECSServiceAverageCPUUtilizationHighResolution": ("CPUUtilization", 20),
    "ECSServiceAverageMemoryUtilizationHighResolution": ("MemoryUtilization", 20),
}
#: Predefined metrics of ECS services.
REQUESTS = "ALBRequestCountPerTarget"
PREDEFINED = frozenset((*_UTILIZATION, REQUESTS))


class ResourceLabel(NamedTuple):
    """The load balancer and the target group whose requests are counted, as CloudWatch's dimensions name them."""

    load_balancer: str
    target_group: str


def resource_label(text: str) -> ResourceLabel | None:
    """The parts of ``app/NAME/ID/targetgroup/NAME/ID``; ``None`` for anything else."""
    parts = text.split("/")
    if len(parts) != 6 or parts[0] != "app" or parts[3] != "targetgroup" or not all(parts):
        return None
    return ResourceLabel("/".join(parts[:3]), "/".join(parts[3:]))


def alarm_name(target: ScalableTarget, which: Literal["High", "Low"], unique: str) -> str:
    """``TargetTracking-service/CLUSTER/SERVICE-AlarmHigh-UUID``."""
    return f"TargetTracking-{target.resource_id}-Alarm{which}-{unique}"


def alarms(target: ScalableTarget, policy: ScalingPolicy, *, account: str, now: float) -> Iterator[MetricAlarm]:
    """The alarms that ``policy``, whose alarm names are set, is to have."""
    tracking = policy.tracking
    if tracking is None:
        return
    metric = _metric(target, tracking)
    value = tracking.target_value
    comparisons: tuple[tuple[str, cloudwatch.ComparisonOperator, float, int], ...] = (
        (policy.high_alarm, "GreaterThanThreshold", value, HIGH_PERIODS),
        (policy.low_alarm, "LessThanThreshold", value * LOW_PART, LOW_PERIODS),
    )
    for name, comparison, threshold, periods in comparisons:
        if not name:
            continue
        settings = msgspec.structs.replace(
            metric,
            alarm_name=name,
            alarm_description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            alarm_actions=(policy.arn,),
            comparison_operator=comparison,
            # Products like 0.9 * 70 must show as 63, not as 63.00000000000001.
            threshold=round(threshold, 9),
            evaluation_periods=periods,
        )
        yield MetricAlarm(
            arn=alarm_arn(policy.region, account, name),
            region=policy.region,
            name=name,
            configured_at=now,
            state_updated_at=now,
            state_changed_at=now,
            settings=settings,
            owner=policy.arn,
        )


def _metric(
    target: ScalableTarget, tracking: aas.TargetTrackingScalingPolicyConfiguration
) -> cloudwatch.PutMetricAlarmInput:
    """What the alarms watch, with everything else that they have in common."""
    common = cloudwatch.PutMetricAlarmInput(
        alarm_name="-",
        actions_enabled=True,
        ok_actions=(),
        insufficient_data_actions=(),
        treat_missing_data="missing",
    )
    replace = msgspec.structs.replace
    predefined, custom = tracking.predefined_metric_specification, tracking.customized_metric_specification
    if custom is not None and custom.metrics:
        return replace(common, metrics=tuple(map(_query, custom.metrics)), dimensions=())
    if custom is not None:
        return replace(
            common,
            namespace=custom.namespace,
            metric_name=custom.metric_name,
            dimensions=tuple(cloudwatch.Dimension(name=d.name, value=d.value) for d in custom.dimensions or ()),
            statistic=custom.statistic,
            unit=custom.unit,
            period=60,
        )
    if predefined is None:
        raise ValueError("a target tracking policy without a metric")
    if predefined.predefined_metric_type == REQUESTS:
        label = resource_label(predefined.resource_label or "")
        if label is None:
            raise ValueError("a policy on requests without a resource label")
        return replace(
            common,
            namespace="AWS/ApplicationELB",
            metric_name="RequestCountPerTarget",
            dimensions=(
                cloudwatch.Dimension(name="LoadBalancer", value=label.load_balancer),
                cloudwatch.Dimension(name="TargetGroup", value=label.target_group),
            ),
            statistic="Sum",
            period=60,
        )
    name, period = _UTILIZATION[predefined.predefined_metric_type]
    _, cluster, service = target.resource_id.split("/")
    return replace(
        common,
        namespace="AWS/ECS",
        metric_name=name,
        dimensions=(
            cloudwatch.Dimension(name="ClusterName", value=cluster),
            cloudwatch.Dimension(name="ServiceName", value=service),
        ),
        statistic="Average",
        unit="Percent",
        period=period,
    )


def _query(query: aas.TargetTrackingMetricDataQuery) -> cloudwatch.MetricDataQuery:
    stat = query.metric_stat
    if stat is None:
        return cloudwatch.MetricDataQuery(
            id=query.id,
            expression=query.expression,
            label=query.label,
            return_data=query.return_data is not False,
            period=60,
        )
    metric = cloudwatch.Metric(
        namespace=stat.metric.namespace,
        metric_name=stat.metric.metric_name,
        dimensions=tuple(cloudwatch.Dimension(name=d.name, value=d.value) for d in stat.metric.dimensions or ()),
    )
    return cloudwatch.MetricDataQuery(
        id=query.id,
        metric_stat=cloudwatch.MetricStat(metric=metric, period=60, stat=stat.stat, unit=stat.unit),  # type: ignore[arg-type]
        label=query.label,
        return_data=query.return_data is not False,
    )
