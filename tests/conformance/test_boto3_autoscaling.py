"""EC2 Auto Scaling and managed scaling through boto3, with machines that a program starts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

PROGRAM = Path(__file__).with_name("agent_provisioner.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A control plane without an agent of its own, which may start agents."""
    folder = tmp_path_factory.mktemp("provisioned")
    program = folder / "provisioner"
    program.write_text(f'#!/bin/sh\nMACHINES="{folder}/machines" exec "{sys.executable}" "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    (folder / "machines").mkdir()
    installation = Installation(folder / "home", "--runtime", "fake", "--no-agent", "--provisioner", str(program))
    installation.up()
    yield installation
    for region in ("us-east-1", "eu-west-1"):
        delete_groups(installation.client("autoscaling", region))
    installation.down()
    assert not list((folder / "machines").glob("*/pid"))


def delete_groups(autoscaling: Any) -> None:
    for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
    wait_for(lambda: not autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], what="groups are gone")


def shown(autoscaling: Any, name: str) -> dict[str, Any]:
    return autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]


def states(autoscaling: Any, name: str) -> list[str]:
    return [one["LifecycleState"] for one in shown(autoscaling, name)["Instances"]]


def refusal(code: str, call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


def test_tasks_of_a_capacity_provider_bring_their_machines(site: Installation) -> None:
    autoscaling, ecs = site.client("autoscaling"), site.client("ecs")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="machines",
        MinSize=0,
        MaxSize=4,
        AvailabilityZones=["us-east-1a", "us-east-1b"],
        NewInstancesProtectedFromScaleIn=True,
        Tags=[{"Key": "team", "Value": "a", "PropagateAtLaunch": True}],
    )
    group = shown(autoscaling, "machines")
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 4, 0)
    ecs.create_cluster(clusterName="scaled")
    ecs.create_capacity_provider(
        name="own",
        autoScalingGroupProvider={
            "autoScalingGroupArn": group["AutoScalingGroupARN"],
            "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
            "managedTerminationProtection": "ENABLED",
        },
    )
    strategy = [{"capacityProvider": "own", "weight": 1}]
    ecs.put_cluster_capacity_providers(
        cluster="scaled", capacityProviders=["own"], defaultCapacityProviderStrategy=strategy
    )
    main = {"name": "m", "image": "busybox", "memory": 400, "command": ["sleep", "1000"]}
    ecs.register_task_definition(family="big", containerDefinitions=[main])
    ecs.create_service(cluster="scaled", serviceName="big", taskDefinition="big", desiredCount=3)
    wait_for(
        lambda: ecs.describe_services(cluster="scaled", services=["big"])["services"][0]["runningCount"] == 3,
        what="three tasks run",
        seconds=60,
    )
    group = shown(autoscaling, "machines")
    assert group["DesiredCapacity"] == 3
    assert states(autoscaling, "machines") == ["InService"] * 3
    assert {one["AvailabilityZone"] for one in group["Instances"]} == {"us-east-1a", "us-east-1b"}
    instances = ecs.describe_container_instances(
        cluster="scaled", containerInstances=ecs.list_container_instances(cluster="scaled")["containerInstanceArns"]
    )["containerInstances"]
    assert {one["ec2InstanceId"] for one in instances} == {one["InstanceId"] for one in group["Instances"]}
    assert all(one["ProtectedFromScaleIn"] for one in shown(autoscaling, "machines")["Instances"])
    described = autoscaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert {one["AutoScalingGroupName"] for one in described} == {"machines"}
    activities = autoscaling.describe_scaling_activities(AutoScalingGroupName="machines")["Activities"]
    assert [one["StatusCode"] for one in activities] == ["Successful"] * 3

    # Managed draining: the service's task moves before its machine ends.
    ecs.update_service(cluster="scaled", service="big", desiredCount=2)
    wait_for(
        lambda: sum(not one["ProtectedFromScaleIn"] for one in shown(autoscaling, "machines")["Instances"]) == 1,
        what="the empty machine is not protected any more",
        seconds=30,
    )
    empty = next(one for one in shown(autoscaling, "machines")["Instances"] if not one["ProtectedFromScaleIn"])
    ended = autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=empty["InstanceId"], ShouldDecrementDesiredCapacity=True
    )["Activity"]
    assert ended["Description"] == f"Terminating EC2 instance: {empty['InstanceId']}"
    wait_for(lambda: states(autoscaling, "machines") == ["InService"] * 2, what="two machines are left", seconds=30)
    assert shown(autoscaling, "machines")["DesiredCapacity"] == 2
    ecs.delete_service(cluster="scaled", service="big", force=True)


def test_a_group_by_hand(site: Installation) -> None:
    autoscaling = site.client("autoscaling", "eu-west-1")
    site.client("ecs", "eu-west-1").create_cluster()
    settings = {"AutoScalingGroupName": "g", "MinSize": 1, "MaxSize": 2, "AvailabilityZones": ["eu-west-1a"]}
    autoscaling.create_auto_scaling_group(**settings)
    refusal("AlreadyExists", autoscaling.create_auto_scaling_group, **settings)
    wait_for(lambda: states(autoscaling, "g") == ["InService"], what="the machine is in service", seconds=30)
    autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    assert shown(autoscaling, "g")["SuspendedProcesses"][0]["ProcessName"] == "Launch"
    first = shown(autoscaling, "g")["Instances"][0]["InstanceId"]
    autoscaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy")
    wait_for(lambda: not states(autoscaling, "g"), what="the unhealthy machine is gone", seconds=30)
    autoscaling.resume_processes(AutoScalingGroupName="g")
    wait_for(lambda: states(autoscaling, "g") == ["InService"] * 2, what="two are in service", seconds=30)
    autoscaling.set_instance_protection(
        AutoScalingGroupName="g",
        InstanceIds=[one["InstanceId"] for one in shown(autoscaling, "g")["Instances"]],
        ProtectedFromScaleIn=True,
    )
    autoscaling.create_or_update_tags(
        Tags=[
            {
                "ResourceId": "g",
                "ResourceType": "auto-scaling-group",
                "Key": "k",
                "Value": "v",
                "PropagateAtLaunch": False,
            }
        ]
    )
    assert autoscaling.describe_tags(Filters=[{"Name": "key", "Values": ["k"]}])["Tags"][0]["Value"] == "v"
    assert shown(autoscaling, "g")["Tags"][0]["PropagateAtLaunch"] is False
    refusal("ResourceInUse", autoscaling.delete_auto_scaling_group, AutoScalingGroupName="g")
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    wait_for(
        lambda: not autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["g"])["AutoScalingGroups"],
        what="the group is gone",
        seconds=30,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"MinSize": 3},
        {"MaxSize": -1},
        {"DesiredCapacity": 9},
        {"LaunchTemplate": {"LaunchTemplateName": "nothing"}},
        {"AvailabilityZones": ["eu-west-1a"]},
        {"HealthCheckType": "ELB"},
        {"TargetGroupARNs": ["arn:x"]},
        {"VPCZoneIdentifier": "subnet-0"},
    ],
)
def test_groups_that_are_refused(site: Installation, changes: dict[str, Any]) -> None:
    autoscaling = site.client("autoscaling")
    request = {"AutoScalingGroupName": "no", "MinSize": 0, "MaxSize": 2, "AvailabilityZones": ["us-east-1a"], **changes}
    refusal("ValidationError", autoscaling.create_auto_scaling_group, **request)
    assert autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["no"])["AutoScalingGroups"] == []


def test_managed_scaling_needs_a_group(site: Installation) -> None:
    ecs = site.client("ecs")
    message = refusal(
        "ClientException",
        ecs.create_capacity_provider,
        name="none",
        autoScalingGroupProvider={"autoScalingGroupArn": "none", "managedScaling": {"status": "ENABLED"}},
    )
    assert "Auto Scaling group does not exist" in message
