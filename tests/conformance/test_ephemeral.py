"""Ephemeral installations: nothing on disk, and a reset that leaves a machine as if just started."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conformance_support import Installation
from waiting import wait_for

CONTAINER = {"name": "main", "image": "busybox", "memory": 16}


@pytest.fixture(scope="module")
def ephemeral(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("ephemeral"), "--runtime", "fake", "--ephemeral")
    installation.up()
    yield installation
    installation.down()


def post(installation: Installation, path: str) -> int:
    keys = installation.credentials
    request = AWSRequest("POST", keys["AWS_ENDPOINT_URL"] + path, data=b"")
    SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), "ecs", "us-east-1").add_auth(
        request
    )
    prepared = request.prepare()
    plain = urllib.request.Request(prepared.url, data=b"", headers=dict(prepared.headers.items()), method="POST")
    return status_of(plain)


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            status: int = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    return status


def test_reset_wipes_everything_and_tasks_run_again_at_once(ephemeral: Installation) -> None:
    ecs: Any = ephemeral.client("ecs")
    logs: Any = ephemeral.client("logs")
    ec2: Any = ephemeral.client("ec2")
    for _ in range(2):
        (vpc,) = ec2.describe_vpcs()["Vpcs"]
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
        assert vpc["IsDefault"]
        assert sorted(ephemeral.status()["control_plane"]["subnets"]) == sorted(subnets)
        ec2.delete_subnet(SubnetId=subnets[0])
        assert sorted(ephemeral.status()["control_plane"]["subnets"]) == sorted(subnets[1:])
        ec2.create_vpc(CidrBlock="10.20.0.0/16")
        assert ecs.list_task_definition_families()["families"] == []
        ecs.create_cluster(clusterName="mine")
        ecs.register_task_definition(family="f", containerDefinitions=[CONTAINER])
        ecs.create_service(serviceName="s", taskDefinition="f", desiredCount=2)
        logs.create_log_group(logGroupName="g")
        (task,) = ecs.run_task(taskDefinition="f")["tasks"]
        assert task["taskDefinitionArn"].endswith(":task-definition/f:1")
        wait_for(lambda: ecs.describe_services(services=["s"])["services"][0]["runningCount"] == 2)
        assert post(ephemeral, "/_openecs/reset") == 200
        assert ecs.list_services()["serviceArns"] == []
        assert ecs.list_tasks()["taskArns"] == ecs.list_tasks(desiredStatus="STOPPED")["taskArns"] == []
        assert logs.describe_log_groups()["logGroups"] == []
        assert [arn.rsplit("/", 1)[-1] for arn in ecs.list_clusters()["clusterArns"]] == ["default"]
        assert len(ecs.list_container_instances()["containerInstanceArns"]) == 1


def test_nothing_durable_is_on_disk(ephemeral: Installation) -> None:
    assert [path.name for path in ephemeral.home.iterdir()] == ["run"]
    names = {path.name for path in ephemeral.home.rglob("*") if path.is_file()}
    assert not names & {"journal.db", "catalogue.sqlite"}


def test_after_a_reset_the_machine_is_as_it_was_at_the_start(ephemeral: Installation) -> None:
    ecs: Any = ephemeral.client("ecs")

    def machine() -> dict[str, Any]:
        (arn,) = ecs.list_container_instances()["containerInstanceArns"]
        (found,) = ecs.describe_container_instances(containerInstances=[arn])["containerInstances"]
        return {
            "status": found["status"],
            "connected": found["agentConnected"],
            "attributes": sorted((a["name"], a.get("value")) for a in found["attributes"]),
        }

    def wiped() -> None:
        assert post(ephemeral, "/_openecs/reset") == 200
        assert machine() == fresh
        assert [arn.rsplit("/", 1)[-1] for arn in ecs.list_clusters()["clusterArns"]] == ["default"]
        ecs.register_task_definition(family="f", containerDefinitions=[CONTAINER])
        assert ecs.run_task(taskDefinition="f")["failures"] == []

    post(ephemeral, "/_openecs/reset")
    fresh = machine()
    assert (fresh["status"], fresh["connected"]) == ("ACTIVE", True)
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.put_attributes(attributes=[{"name": "stack", "value": "x", "targetId": arn}])
    ecs.update_container_instances_state(containerInstances=[arn], status="DRAINING")
    wiped()
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.deregister_container_instance(containerInstance=arn, force=True)
    wiped()
    post(ephemeral, "/_openecs/reset")
    (arn,) = ecs.list_container_instances()["containerInstanceArns"]
    ecs.deregister_container_instance(containerInstance=arn)
    ecs.delete_cluster(cluster="default")
    wiped()


def test_a_cluster_of_a_lent_name_in_another_region_has_the_machine(ephemeral: Installation) -> None:
    elsewhere: Any = ephemeral.client("ecs", "eu-west-1")
    elsewhere.create_cluster(clusterName="default")
    assert len(elsewhere.list_container_instances()["containerInstanceArns"]) == 1
    assert post(ephemeral, "/_openecs/reset") == 200
    assert elsewhere.list_clusters()["clusterArns"] == []


def test_after_a_crash_of_the_server_everything_works_again(ephemeral: Installation) -> None:
    ecs: Any = ephemeral.client("ecs")
    ecs.register_task_definition(family="f", containerDefinitions=[CONTAINER])
    ecs.run_task(taskDefinition="f")
    pids = ephemeral.status()["pids"]
    os.kill(pids["server"], signal.SIGKILL)
    wait_for(lambda: (now := status_of_installation(ephemeral)) and now["pids"]["server"] != pids["server"] and now)
    wait_for(lambda: [n["agent_connected"] for n in ephemeral.status()["control_plane"]["nodes"]] == [True])
    # The same keys, the same cluster, no task; and new ones run.
    assert ecs.list_tasks()["taskArns"] == []
    ecs.register_task_definition(family="f", containerDefinitions=[CONTAINER])
    (task,) = ecs.run_task(taskDefinition="f")["tasks"]
    wait_for(lambda: ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"][0]["lastStatus"] == "RUNNING")


def status_of_installation(installation: Installation) -> dict[str, Any] | None:
    """What ``status`` says, ``None`` while something is wrong."""
    try:
        return installation.status()
    except AssertionError:
        return None


def test_a_durable_installation_cannot_be_reset(fake: Installation) -> None:
    assert post(fake, "/_openecs/reset") == 400


def test_reset_needs_a_signature(ephemeral: Installation) -> None:
    request = urllib.request.Request(ephemeral.credentials["AWS_ENDPOINT_URL"] + "/_openecs/reset", data=b"")
    assert status_of(request) in (400, 403)
    assert ephemeral.client("ecs").list_clusters()["clusterArns"]
