"""The loop from container to decision on the real engine, also while the control plane is killed.

These tests have an installation of their own, because its control plane ends without warning.
"""

from __future__ import annotations

import json
import math
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from conformance_support import Installation
from docker_world import STAY, World
from waiting import wait_for

from openecs.clock import SystemClock

#: Burns until it is told to end.
BURN = "trap 'exit 0' TERM; while :; do :; done"
#: The same for a while, then rests.
BURN_A_WHILE = "trap 'exit 0' TERM; (while :; do :; done) & busy=$!; sleep 150; kill $busy; " + STAY
STEADY = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, docker_engine: str, busybox_image: str) -> Iterator[World]:
    installation = Installation(tmp_path_factory.mktemp("see"), "--runtime", "docker")
    installation.up()
    try:
        yield World(installation, busybox_image)
    finally:
        installation.down()


@pytest.fixture
def name() -> str:
    return "s" + uuid.uuid4().hex[:8]


def kill_control_plane(world: World) -> None:
    """SIGKILL to the server that this test's installation started; its supervisor starts another."""
    file = world.installation.home / "run" / "server.json"
    before = json.loads(file.read_text())["pid"]
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        try:
            return bool(json.loads(file.read_text())["pid"] != before)
        except (FileNotFoundError, ValueError):
            return False

    wait_for(back, what="the control plane answers again")


def service_of(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.ecs.describe_services(services=[name])["services"][0]
    return found


def metrics_page(world: World) -> list[str]:
    """The lines of the control plane's page for Prometheus."""
    installation = world.installation
    token = Path(json.loads(installation.openecs("status", "--json"))["metrics_token_file"]).read_text().strip()
    request = Request(f"{installation.endpoint}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=10) as reply:
        return str(reply.read().decode()).splitlines()


def test_a_service_that_burns_is_scaled_out_by_what_was_measured(own: World, name: str) -> None:
    scaling, cloudwatch = own.installation.client("application-autoscaling"), own.installation.client("cloudwatch")
    own.ecs.create_service(
        serviceName=name,
        taskDefinition=own.register(own.container(script=BURN, cpu=128)),
        desiredCount=1,
        monitoring={"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]},
    )
    target = {**STEADY, "ResourceId": f"service/default/{name}"}
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    kind = "ECSServiceAverageCPUUtilizationHighResolution"
    tracking = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": kind}}
    scaling.put_scaling_policy(
        **target,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    wait_for(lambda: service_of(own, name)["runningCount"] == 2, seconds=110, what="the service is scaled out")
    (activity,) = scaling.describe_scaling_activities(**target)["ScalingActivities"]
    assert activity["Description"] == "Setting desired count to 2."
    assert "AlarmHigh" in activity["Cause"]
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "ClusterName", "Value": "default"}, {"Name": "ServiceName", "Value": name}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now,
        Period=20,
        Statistics=["Average", "Maximum"],
        Unit="Percent",
    )["Datapoints"]
    # Prometheus sees it too.
    units = [float(line.split()[-1]) for line in metrics_page(own) if line.startswith("openecs_container_cpu_units{")]
    assert max(units) > 64
    # One core at most is 800 % of what the task has reserved; other tests share the cores.
    assert len(points) >= 3
    assert all(50 < point["Average"] <= point["Maximum"] < 900 for point in points), points
    own.ecs.delete_service(service=name, force=True)


@pytest.mark.skipif(not os.environ.get("OPENECS_SOAK"), reason="scale-in wants five minutes of quiet")
@pytest.mark.timeout(1200)
def test_a_service_that_burns_no_more_is_scaled_in(own: World, name: str) -> None:
    scaling = own.installation.client("application-autoscaling")
    own.ecs.create_service(
        serviceName=name,
        taskDefinition=own.register(own.container(script=BURN_A_WHILE, cpu=128)),
        desiredCount=1,
        monitoring={"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]},
    )
    target = {**STEADY, "ResourceId": f"service/default/{name}"}
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    kind = "ECSServiceAverageCPUUtilizationHighResolution"
    scaling.put_scaling_policy(
        **target,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": kind},
            "ScaleInCooldown": 10,
        },
    )
    wait_for(lambda: service_of(own, name)["runningCount"] == 2, seconds=110, what="the service is scaled out")
    wait_for(lambda: service_of(own, name)["desiredCount"] == 1, seconds=900, what="the service is scaled in")
    (newest, *_) = scaling.describe_scaling_activities(**target)["ScalingActivities"]
    assert "AlarmLow" in newest["Cause"]
    own.ecs.delete_service(service=name, force=True)


def test_an_alarm_rolls_a_deployment_back(own: World, name: str) -> None:
    cloudwatch = own.installation.client("cloudwatch")
    metric = {"Namespace": name, "MetricName": "errors"}
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        **metric,
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    good, bad = own.register(own.container()), own.register(own.container())
    alarms = {"alarmNames": [name], "enable": True, "rollback": True}
    own.ecs.create_service(
        serviceName=name, taskDefinition=good, desiredCount=1, deploymentConfiguration={"alarms": alarms}
    )
    wait_for(
        lambda: service_of(own, name)["deployments"][0]["rolloutState"] == "COMPLETED",
        seconds=90,
        what="the first deployment is completed",
    )
    own.ecs.update_service(service=name, taskDefinition=bad)
    wait_for(lambda: service_of(own, name)["deployments"][0]["taskDefinition"] == bad, what="the deployment begins")

    def rolled_back() -> bool:
        cloudwatch.put_metric_data(
            Namespace=name, MetricData=[{"MetricName": "errors", "Value": 5.0, "StorageResolution": 1}]
        )
        return bool(service_of(own, name)["deployments"][0]["taskDefinition"] == good)

    wait_for(rolled_back, seconds=60, what="the alarm rolls it back")

    def succeeded() -> bool:
        attempts = own.ecs.list_service_deployments(service=name)["serviceDeployments"]
        return any(attempt["status"] == "ROLLBACK_SUCCESSFUL" for attempt in attempts)

    wait_for(succeeded, seconds=60, what="the rollback is done")
    assert "alarm" in own.installation.openecs("why", name).lower()
    own.ecs.delete_service(service=name, force=True)


def test_a_schedule_runs_once_although_the_control_plane_is_killed_at_its_tick(own: World, name: str) -> None:
    scheduler = own.installation.client("scheduler")
    definition = own.register(own.container(script="true"), family=name)
    now = math.ceil(SystemClock().now())
    ticks = [now + 3, now + 8]
    arns = []
    for number, tick in enumerate(ticks):
        created = scheduler.create_schedule(
            Name=f"{name}-{number}",
            ScheduleExpression=f"at({datetime.fromtimestamp(tick, UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": own.ecs.describe_clusters()["clusters"][0]["clusterArn"],
                "RoleArn": "arn:aws:iam::000000000000:role/schedules",
                "EcsParameters": {"TaskDefinitionArn": definition, "LaunchType": "EC2"},
            },
        )
        arns.append(created["ScheduleArn"])

    def tasks() -> list[str]:
        found: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            found += own.ecs.list_tasks(family=name, desiredStatus=status)["taskArns"]
        return sorted(set(found))

    # Once just before a tick, and once as soon as the first task is there.
    wait_for(lambda: SystemClock().now() >= ticks[0] - 0.3, what="the first tick is near")
    kill_control_plane(own)
    wait_for(lambda: len(tasks()) >= 1, seconds=20, what="the first tick's task")
    kill_control_plane(own)
    wait_for(lambda: len(tasks()) >= 2, seconds=30, what="the second tick's task")
    for arn in arns:
        wait_for(lambda arn=arn: "did their work" in own.installation.openecs("why", arn), what="its tick is told of")
    wait_for(lambda: SystemClock().now() >= ticks[1] + 3, what="time enough for a second run")
    assert len(tasks()) == 2


def messages(world: World, group: str, stream: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        page = world.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        yield from (event["message"] for event in page["events"])
        if page["nextForwardToken"] == token.get("nextToken"):
            return
        token = {"nextToken": page["nextForwardToken"]}


def test_three_hundred_thousand_lines_arrive_complete_and_in_order(own: World, name: str) -> None:
    group = f"/see/{name}"
    own.logs.create_log_group(logGroupName=group)
    options = {"awslogs-group": group, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p", "mode": "blocking"}
    task = own.run(own.container(script="seq 1 300000", logConfiguration={"logDriver": "awslogs", "options": options}))
    own.reaches(task, "STOPPED", seconds=110)
    now = round(SystemClock().now())

    def counted() -> bool:
        query = own.logs.start_query(
            logGroupName=group, startTime=now - 600, endTime=now + 600, queryString="stats count(*) as n"
        )["queryId"]
        done = wait_for(
            lambda: (r := own.logs.get_query_results(queryId=query))["status"] == "Complete" and r, what="the query"
        )
        return bool(done["results"][0][0]["value"] == "300000")

    wait_for(counted, seconds=60, what="all lines are there")
    found = messages(own, group, f"p/main/{task.rpartition('/')[2]}")
    assert [int(line) for line in found] == list(range(1, 300_001))
    own.logs.delete_log_group(logGroupName=group)


def test_nothing_acknowledged_is_lost_when_the_control_plane_is_killed(own: World, name: str) -> None:
    group = f"/see/{name}"
    own.logs.create_log_group(logGroupName=group)
    own.logs.create_log_stream(logGroupName=group, logStreamName="s")
    # Without retries: a batch whose answer is lost must not come again.
    logs = own.installation.session().client(
        "logs",
        region_name="us-east-1",
        endpoint_url=own.installation.endpoint,
        aws_access_key_id=own.installation.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=own.installation.credentials["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    acknowledged: list[str] = []
    answered = sent = 0
    with ThreadPoolExecutor(1) as killer:
        kills = [killer.submit(kill_control_plane, own)]
        while answered < 120:
            sent += 1
            batch = [f"{sent}-{line}" for line in range(200)]
            events = [{"timestamp": round(SystemClock().now() * 1000), "message": text} for text in batch]
            try:
                logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
            except (EndpointConnectionError, ConnectionClosedError):
                continue
            answered += 1
            acknowledged += batch
            if answered == 60:
                kills.append(killer.submit(kill_control_plane, own))
        for kill in kills:
            kill.result()
    found, known = list(messages(own, group, "s")), set(acknowledged)
    assert [text for text in found if text in known] == acknowledged
    assert len(set(found)) == len(found)
    own.logs.delete_log_group(logGroupName=group)
