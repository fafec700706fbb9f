"""EventBridge Scheduler through boto3, on the fake engine."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

ROLE = "arn:aws:iam::000000000000:role/r"
OFF = {"Mode": "OFF"}


@pytest.fixture
def scheduler(fake: Installation) -> Any:
    return fake.client("scheduler")


def target(ecs: Any, name: str) -> dict[str, Any]:
    """RunTask of a new definition."""
    cluster = ecs.describe_clusters(clusters=["default"])["clusters"][0]["clusterArn"]
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "c", "image": "busybox", "memory": 16}])
    return {"Arn": cluster, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": name}}


def test_a_rate_runs_its_task_at_once(scheduler: Any, ecs: Any, name: str) -> None:
    scheduler.create_schedule(
        Name=name, ScheduleExpression="rate(1 hour)", FlexibleTimeWindow=OFF, Target=target(ecs, name)
    )
    tasks = wait_for(lambda: ecs.list_tasks(family=name)["taskArns"], what="the task")
    shown = ecs.describe_tasks(tasks=tasks)["tasks"]
    assert [task["startedBy"] for task in shown] == [f"chronos-schedule/{name}"]
    scheduler.delete_schedule(Name=name)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name=name)


def test_a_universal_target_calls_the_operation(scheduler: Any, ecs: Any, name: str) -> None:
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow=OFF,
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:ecs:createCluster",
            "RoleArn": ROLE,
            "Input": f'{{"clusterName": "{name}"}}',
        },
    )
    wait_for(lambda: ecs.describe_clusters(clusters=[name])["clusters"], what="the cluster")
    scheduler.delete_schedule(Name=name)


def test_groups_tags_pages_and_settings(scheduler: Any, ecs: Any, name: str) -> None:
    arn = scheduler.create_schedule_group(Name=name, Tags=[{"Key": "a", "Value": "1"}])["ScheduleGroupArn"]
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "b c", "Value": "2"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b c", "Value": "2"}]
    settings = {
        "GroupName": name,
        "ScheduleExpression": "cron(0 10 ? * MON-FRI *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "State": "DISABLED",
        "Target": target(ecs, name),
    }
    for number in range(3):
        scheduler.create_schedule(Name=f"{name}-{number}", **settings)
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName=name, PaginationConfig={"PageSize": 2})
    assert [found["Name"] for page in pages for found in page["Schedules"]] == [f"{name}-{n}" for n in range(3)]
    shown = scheduler.get_schedule(Name=f"{name}-0", GroupName=name)
    assert {key: shown[key] for key in settings} == settings
    scheduler.update_schedule(Name=f"{name}-0", **(settings | {"ScheduleExpression": "rate(2 days)"}))
    assert scheduler.get_schedule(Name=f"{name}-0", GroupName=name)["ScheduleExpression"] == "rate(2 days)"
    scheduler.delete_schedule_group(Name=name)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.list_schedules(GroupName=name)
    assert "default" in [group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]]


def test_what_is_refused(scheduler: Any, ecs: Any, name: str) -> None:
    good = {"Name": name, "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF, "State": "DISABLED"}
    good["Target"] = place = target(ecs, name)
    sdk = {"RoleArn": ROLE, "Input": "{}"}
    for change in (
        {"ScheduleExpression": "cron(* * * * * *)"},
        {"ScheduleExpressionTimezone": "Mars/Olympus"},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        {"KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"},
        {"Target": place | {"SqsParameters": {"MessageGroupId": "g"}}},
        {"Target": place | {"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f"}},
        {"Target": place | {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q"}}},
        {"Target": sdk | {"Arn": "arn:aws:scheduler:::aws-sdk:ecs:listTasks"}},
        {"Target": sdk | {"Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask", "Input": '{"Cluster": "c"}'}},
        {"Target": sdk | {"Arn": "arn:aws:scheduler:::aws-sdk:s3:putObject"}},
    ):
        with pytest.raises(ClientError) as caught:
            scheduler.create_schedule(**(good | change))
        assert caught.value.response["Error"]["Code"] == "ValidationException", change
    scheduler.create_schedule(**good, ClientToken="token")
    scheduler.create_schedule(**good, ClientToken="token")
    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule(**good, ClientToken="another")
    scheduler.delete_schedule(Name=name)
