"""Application Auto Scaling through boto3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import wait_for

from openecs.clock import SystemClock

TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
}
STEP = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}],
}


@pytest.fixture
def scaling(fake: Any) -> Any:
    return fake.client("application-autoscaling")


@pytest.fixture
def names(ecs: Any, cluster: str, name: str) -> dict[str, str]:
    """What names the desired count of a service with nothing to run."""
    main = {"name": "m", "image": "busybox", "memory": 8}
    ecs.register_task_definition(family=name, containerDefinitions=[main])
    ecs.create_service(cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=0)
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{cluster}/{name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }


def refusal(code: str, call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def desired(ecs: Any, cluster: str, name: str) -> int:
    return ecs.describe_services(cluster=cluster, services=[name])["services"][0]["desiredCount"]


def test_life_of_a_scalable_target(scaling: Any, ecs: Any, cluster: str, name: str, names: dict[str, str]) -> None:
    arn = scaling.register_scalable_target(**names, MinCapacity=2, MaxCapacity=5, Tags={"team": "a"})[
        "ScalableTargetARN"
    ]
    assert desired(ecs, cluster, name) == 2
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[names["ResourceId"]])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (2, 5, arn)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": False,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    scaling.register_scalable_target(**names, MinCapacity=0, SuspendedState={"DynamicScalingInSuspended": True})
    ecs.update_service(cluster=cluster, service=name, desiredCount=9)
    # Any update brings the desired count within the bounds again.
    scaling.register_scalable_target(**names)
    assert desired(ecs, cluster, name) == 5
    scaling.tag_resource(ResourceARN=arn, Tags={"team": "b", "env": "x"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["env"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "b"}
    activities = scaling.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=names["ResourceId"])
    assert [a["Cause"] for a in activities["ScalingActivities"]] == [
        "maximum capacity was set to 5",
        "minimum capacity was set to 2",
    ]
    scaling.deregister_scalable_target(**names)
    message = refusal("ObjectNotFoundException", scaling.deregister_scalable_target, **names)
    assert names["ResourceId"] in message
    refusal("ResourceNotFoundException", scaling.list_tags_for_resource, ResourceARN=arn)


def test_target_tracking_makes_alarms(scaling: Any, names: dict[str, str]) -> None:
    scaling.register_scalable_target(**names, MinCapacity=0, MaxCapacity=5)
    put = scaling.put_scaling_policy(
        **names,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKING,
    )
    high, low = (alarm["AlarmName"] for alarm in put["Alarms"])
    assert high.startswith(f"TargetTracking-{names['ResourceId']}-AlarmHigh-")
    assert low.startswith(f"TargetTracking-{names['ResourceId']}-AlarmLow-")
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=names["ResourceId"])[
        "ScalingPolicies"
    ]
    assert policy["Alarms"] == put["Alarms"]
    assert policy["PolicyARN"].endswith(f":resource/ecs/{names['ResourceId']}:policyName/cpu")
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {**TRACKING, "DisableScaleIn": False}
    again = scaling.put_scaling_policy(
        **names,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={**TRACKING, "DisableScaleIn": True},
    )
    assert [alarm["AlarmName"] for alarm in again["Alarms"]] == [high]
    scaling.delete_scaling_policy(**names, PolicyName="cpu")
    refusal("ObjectNotFoundException", scaling.delete_scaling_policy, **names, PolicyName="cpu")


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("ValidationException", {"PolicyType": "TargetTrackingScaling"}),
        ("ValidationException", {"PolicyType": "PredictiveScaling"}),
        ("ValidationException", {"StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"}}),
        (
            "ValidationException",
            {
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 10.0,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "ALBRequestCountPerTarget",
                        "ResourceLabel": "app/a/1/targetgroup/b/2",
                    },
                },
            },
        ),
        (
            "ValidationException",
            {
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "StepAdjustments": [
                        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
                        {"MetricIntervalLowerBound": 11.0, "ScalingAdjustment": 2},
                    ],
                }
            },
        ),
        ("ObjectNotFoundException", {"ResourceId": "service/default/nothing"}),
        ("ValidationException", {"ServiceNamespace": "dynamodb"}),
    ],
)
def test_policies_that_are_refused(scaling: Any, names: dict[str, str], code: str, changes: dict[str, Any]) -> None:
    scaling.register_scalable_target(**names, MinCapacity=0, MaxCapacity=5)
    request = {**names, "PolicyName": "p", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": STEP}
    if "TargetTracking" in str(changes.get("PolicyType")):
        del request["StepScalingPolicyConfiguration"]
    refusal(code, scaling.put_scaling_policy, **{**request, **changes})
    found = scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=names["ResourceId"])
    assert found["ScalingPolicies"] == []


def test_targets_that_are_refused(scaling: Any, names: dict[str, str]) -> None:
    register = scaling.register_scalable_target
    assert "MaxCapacity" in refusal("ValidationException", register, **names, MinCapacity=1)
    refusal("ValidationException", register, **names, MinCapacity=3, MaxCapacity=1)
    message = refusal(
        "ValidationException", register, **{**names, "ResourceId": "service/default/no"}, MinCapacity=1, MaxCapacity=2
    )
    assert message == "ECS service doesn't exist: service/default/no"
    assert (
        scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[names["ResourceId"]])["ScalableTargets"]
        == []
    )


def test_pages(scaling: Any, names: dict[str, str]) -> None:
    scaling.register_scalable_target(**names, MinCapacity=0, MaxCapacity=5)
    for number in range(3):
        scaling.put_scaling_policy(
            **names, PolicyName=f"p{number}", PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
        )
    pages = scaling.get_paginator("describe_scaling_policies").paginate(
        ServiceNamespace="ecs", ResourceId=names["ResourceId"], PaginationConfig={"PageSize": 2}
    )
    assert [[p["PolicyName"] for p in page["ScalingPolicies"]] for page in pages] == [["p0", "p1"], ["p2"]]
    refusal("InvalidNextTokenException", scaling.describe_scaling_policies, ServiceNamespace="ecs", NextToken="x")


def test_scheduled_actions(scaling: Any, ecs: Any, cluster: str, name: str, names: dict[str, str]) -> None:
    scaling.register_scalable_target(**names, MinCapacity=0, MaxCapacity=5)
    put, action = scaling.put_scheduled_action, {"MinCapacity": 2}
    soon = datetime.fromtimestamp(SystemClock().now() + 2, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    put(**names, ScheduledActionName="once", Schedule=f"at({soon})", ScalableTargetAction=action)
    put(
        **names,
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction=action,
    )
    shown = scaling.describe_scheduled_actions(ServiceNamespace="ecs", ResourceId=names["ResourceId"])[
        "ScheduledActions"
    ]
    assert [(one["ScheduledActionName"], one.get("Timezone")) for one in shown] == [
        ("night", "Europe/Berlin"),
        ("once", None),
    ]
    wait_for(lambda: desired(ecs, cluster, name) == 2, what="the one-time action is done")
    target = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[names["ResourceId"]])
    assert target["ScalableTargets"][0]["MinCapacity"] == 2
    scaling.delete_scheduled_action(**names, ScheduledActionName="night")
    refusal("ObjectNotFoundException", scaling.delete_scheduled_action, **names, ScheduledActionName="night")
    for schedule in ("at(2001-01-01T00:00:00)", "cron(x)", "rate(0 minutes)", "every day"):
        refusal(
            "ValidationException",
            put,
            **names,
            ScheduledActionName="no",
            Schedule=schedule,
            ScalableTargetAction=action,
        )
    refusal("ValidationException", put, **names, ScheduledActionName="no", Schedule="rate(1 hour)")


def test_high_resolution_has_to_be_asked_for_at_the_service(
    scaling: Any, ecs: Any, cluster: str, name: str, names: dict[str, str]
) -> None:
    scaling.register_scalable_target(**names, MinCapacity=0, MaxCapacity=5)
    kind = "ECSServiceAverageCPUUtilizationHighResolution"
    tracking = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": kind}}
    policy = {
        **names,
        "PolicyName": "fast",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    assert "monitoring" in refusal("ValidationException", scaling.put_scaling_policy, **policy)
    wanted = {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]}
    ecs.update_service(cluster=cluster, service=name, monitoring=wanted)
    assert len(scaling.put_scaling_policy(**policy)["Alarms"]) == 2
