"""Alarms, dashboards and scaling of services for fuzzing, and one sound request for each of their operations."""

from __future__ import annotations

import json
from typing import Any

from fuzz_plane import ACCOUNT, REGION, Plane

ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:"
METRIC = {"Namespace": "AWS/ECS", "MetricName": "CPUUtilization", "Dimensions": [{"Name": "ClusterName", "Value": "c"}]}
SETTINGS = {
    **METRIC,
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 50.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "missing",
}
TAG = {"Key": "k", "Value": "v"}
BODY = json.dumps(
    {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 3, "height": 3, "properties": {"markdown": "x"}}]}
)
WIDGET = json.dumps({"metrics": [["AWS/ECS", "CPUUtilization", "ClusterName", "c"]], "width": 100, "height": 100})
TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/default/idle",
    "ScalableDimension": "ecs:service:DesiredCount",
}
STEPS = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    "Cooldown": 60,
}
RULE = {"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT4H", "Timezone": "UTC"}}


class Observed:
    """Things that requests can name."""

    def __init__(self, plane: Plane) -> None:
        for name in ("alarm", "other"):
            plane.must("cloudwatch", "PutMetricAlarm", AlarmName=name, Tags=[TAG], **SETTINGS)
        plane.must("cloudwatch", "PutCompositeAlarm", AlarmName="both", AlarmRule="ALARM(alarm) OR ALARM(other)")
        plane.must("cloudwatch", "PutDashboard", DashboardName="board", DashboardBody=BODY)
        plane.must("cloudwatch", "PutAlarmMuteRule", Name="quiet", Rule=RULE, MuteTargets={"AlarmNames": ["alarm"]})
        self.scaling("RegisterScalableTarget", plane, **TARGET, MinCapacity=0, MaxCapacity=9)
        self.scaling(
            "PutScalingPolicy",
            plane,
            **TARGET,
            PolicyName="steps",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration=STEPS,
        )
        self.scaling(
            "PutScheduledAction",
            plane,
            **TARGET,
            ScheduledActionName="nightly",
            Schedule="rate(1 day)",
            ScalableTargetAction={"MinCapacity": 0},
        )
        (found,) = plane.must("application_autoscaling", "DescribeScalableTargets", ServiceNamespace="ecs")[
            "ScalableTargets"
        ]
        self.target: str = found["ScalableTargetARN"]

    @staticmethod
    def scaling(operation: str, plane: Plane, **members: Any) -> None:
        plane.must("application_autoscaling", operation, **members)

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        return {
            "AlarmName": ["alarm", "both"],
            "AlarmNames": [["alarm"], ["both", "other"]],
            "AlarmRule": ["ALARM(alarm) AND NOT OK(other)", "TRUE"],
            "DashboardName": ["board"],
            "DashboardBody": [BODY, "{}"],
            "MetricWidget": [WIDGET],
            "ServiceNamespace": ["ecs"],
            "ResourceId": [TARGET["ResourceId"]],
            "ScalableDimension": [TARGET["ScalableDimension"]],
            "PolicyName": ["steps"],
            "ScheduledActionName": ["nightly"],
            "Schedule": ["rate(5 minutes)", "cron(0 10 * * ? *)", "at(2030-01-01T00:00:00)"],
            "AlarmMuteRuleName": ["quiet"],
        }

    def cloudwatch(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that is answered with 200."""
        span = {"StartTime": 0, "EndTime": 3600}
        query = {"Id": "m", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "p90"}}
        return {
            "PutMetricAlarm": {"AlarmName": "new", **SETTINGS, "AlarmActions": [], "Tags": [TAG]},
            "PutCompositeAlarm": {"AlarmName": "new", "AlarmRule": 'ALARM("alarm")', "Tags": [TAG]},
            "DescribeAlarms": {"AlarmNamePrefix": "a", "MaxRecords": 1, "AlarmTypes": ["MetricAlarm"]},
            "DescribeAlarmsForMetric": METRIC,
            "DescribeAlarmHistory": {"AlarmName": "alarm", "HistoryItemType": "StateUpdate", "MaxRecords": 1},
            "SetAlarmState": {"AlarmName": "alarm", "StateValue": "OK", "StateReason": "because"},
            "EnableAlarmActions": {"AlarmNames": ["alarm"]},
            "DisableAlarmActions": {"AlarmNames": ["alarm"]},
            "DeleteAlarms": {"AlarmNames": ["both"]},
            "PutAlarmMuteRule": {"Name": "more", "Rule": RULE, "MuteTargets": {"AlarmNames": ["alarm"]}},
            "GetAlarmMuteRule": {"AlarmMuteRuleName": "quiet"},
            "ListAlarmMuteRules": {"MaxRecords": 1},
            "DeleteAlarmMuteRule": {"AlarmMuteRuleName": "quiet"},
            "PutDashboard": {"DashboardName": "new", "DashboardBody": BODY},
            "GetDashboard": {"DashboardName": "board"},
            "ListDashboards": {"DashboardNamePrefix": "b"},
            "DeleteDashboards": {"DashboardNames": ["board"]},
            "PutMetricData": {"Namespace": "mine", "MetricData": [{"MetricName": "m", "Value": 1.0, "Unit": "Count"}]},
            "GetMetricData": {**span, "MetricDataQueries": [query, {"Id": "e", "Expression": "m * 2"}]},
            "GetMetricStatistics": {**METRIC, **span, "Period": 60, "Statistics": ["Sum"]},
            "ListMetrics": {"Namespace": "AWS/ECS", "Dimensions": [{"Name": "ClusterName"}]},
            "GetMetricWidgetImage": {"MetricWidget": WIDGET},
            "TagResource": {"ResourceARN": f"{ALARM}alarm", "Tags": [TAG]},
            "UntagResource": {"ResourceARN": f"{ALARM}alarm", "TagKeys": ["k"]},
            "ListTagsForResource": {"ResourceARN": f"{ALARM}alarm"},
        }

    def application_autoscaling(self) -> dict[str, dict[str, Any]]:
        """The same for Application Auto Scaling."""
        cpu = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
        return {
            "RegisterScalableTarget": {**TARGET, "MinCapacity": 1, "MaxCapacity": 5},
            "DescribeScalableTargets": {"ServiceNamespace": "ecs", "ResourceIds": [TARGET["ResourceId"]]},
            "DeregisterScalableTarget": TARGET,
            "PutScalingPolicy": {
                **TARGET,
                "PolicyName": "cpu",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0, "PredefinedMetricSpecification": cpu},
            },
            "DescribeScalingPolicies": {"ServiceNamespace": "ecs", "PolicyNames": ["steps"]},
            "DeleteScalingPolicy": {**TARGET, "PolicyName": "steps"},
            "PutScheduledAction": {
                **TARGET,
                "ScheduledActionName": "daily",
                "Schedule": "cron(0 10 * * ? *)",
                "Timezone": "Europe/Berlin",
                "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 3},
            },
            "DescribeScheduledActions": {"ServiceNamespace": "ecs", "MaxResults": 1},
            "DeleteScheduledAction": {**TARGET, "ScheduledActionName": "nightly"},
            "DescribeScalingActivities": {"ServiceNamespace": "ecs", "IncludeNotScaledActivities": True},
            "TagResource": {"ResourceARN": self.target, "Tags": {"k": "v"}},
            "UntagResource": {"ResourceARN": self.target, "TagKeys": ["k"]},
            "ListTagsForResource": {"ResourceARN": self.target},
        }
