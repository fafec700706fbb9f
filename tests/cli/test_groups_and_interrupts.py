"""``--group`` and ``openecs interrupt`` with a real control plane and real agents of the fake engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from openecs.cli.client import Client
from openecs.cli.installation import Installation
from openecs.cli.supervisor import program

PLACE = ("--group", "home", "--availability-zone", "us-east-1b")


class Site:
    """An installation whose own machine is in the group ``home`` and in the second zone."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder / "home")

    def openecs(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "OPENECS_DATA_DIR": str(self.installation.home)}
        return subprocess.run(program(*words), env=environ, capture_output=True, text=True, timeout=120, check=False)

    def call(self, operation: str, **members: Any) -> Any:
        return Client(self.installation.credentials()).call("ecs", operation, **members)

    def task(self, arn: str) -> dict[str, Any]:
        (task,) = self.call("DescribeTasks", tasks=[arn])["tasks"]
        found: dict[str, Any] = task
        return found

    def provider(self, name: str, group: str) -> None:
        self.call("CreateCapacityProvider", name=name, autoScalingGroupProvider={"autoScalingGroupArn": group})
        self.call(
            "PutClusterCapacityProviders",
            cluster="default",
            capacityProviders=[name, "FARGATE_SPOT"],
            defaultCapacityProviderStrategy=[{"capacityProvider": name, "weight": 1}],
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    up = site.openecs("up", "--detach", "--port", "0", "--runtime", "fake", *PLACE)
    assert up.returncode == 0, up.stderr
    yield site
    assert site.openecs("down", "--keep-tasks").returncode == 0


def test_a_task_waits_until_a_machine_joins_its_group(site: Site, tmp_path: Path) -> None:
    site.provider("mine", "home")
    (instance,) = site.call("ListContainerInstances")["containerInstanceArns"]
    (shown,) = site.call("DescribeContainerInstances", containerInstances=[instance])["containerInstances"]
    assert shown["capacityProviderName"] == "mine"
    (zone,) = [a["value"] for a in shown["attributes"] if a["name"] == "ecs.availability-zone"]
    assert zone == "us-east-1b"
    site.call(
        "RegisterTaskDefinition",
        family="web",
        containerDefinitions=[{"name": "a", "image": "busybox", "memory": 64, "command": ["sleep", "1000"]}],
    )
    (task,) = site.call("RunTask", taskDefinition="web")["tasks"]
    assert task["capacityProviderName"] == "mine"
    wait_for(lambda: site.task(task["taskArn"])["containerInstanceArn"] == instance)

    site.call("CreateCluster", clusterName="far")
    site.call("CreateCapacityProvider", name="far", autoScalingGroupProvider={"autoScalingGroupArn": "far-group"})
    site.call(
        "PutClusterCapacityProviders", cluster="far", capacityProviders=["far"], defaultCapacityProviderStrategy=[]
    )
    asked = {"cluster": "far", "capacityProviderStrategy": [{"capacityProvider": "far", "weight": 1}]}
    (waiting,) = site.call("RunTask", taskDefinition="web", **asked)["tasks"]
    assert waiting["lastStatus"] == "PROVISIONING"
    pair = Client(site.installation.credentials()).post("/_openecs/agent-keys")
    keys = {"OPENECS_AGENT_ACCESS_KEY_ID": pair["access_key_id"], "OPENECS_AGENT_SECRET_KEY": pair["secret_key"]}
    endpoint = site.installation.credentials().endpoint
    words = ("agent", "--endpoint", endpoint, "--runtime", "fake", "--cluster", "far", "--group", "far-group")
    elsewhere = subprocess.run(
        program(*words, "--availability-zone", "eu-west-1a"),
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert elsewhere.returncode != 0
    assert "eu-west-1a is no availability zone of us-east-1." in elsewhere.stderr
    agent = subprocess.Popen(
        program(*words, "--data-dir", str(tmp_path / "other")),
        env={**os.environ, **keys},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(
            lambda: (
                site.call("DescribeTasks", cluster="far", tasks=[waiting["taskArn"]])["tasks"][0]["lastStatus"]
                == "RUNNING"
            )
        )
    finally:
        agent.terminate()
        agent.wait(20)


def test_interrupt(site: Site) -> None:
    site.provider("mine", "home")
    container = {"name": "a", "image": "busybox", "command": ["sleep", "1000"]}
    site.call(
        "RegisterTaskDefinition",
        family="far",
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[container],
    )
    subnet = Client(site.installation.credentials()).get("/_openecs/status")["subnets"][0]
    (task,) = site.call(
        "RunTask",
        taskDefinition="far",
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )["tasks"]
    wait_for(lambda: site.task(task["taskArn"])["lastStatus"] == "RUNNING")
    done = site.openecs("interrupt", task["taskArn"])
    assert (done.returncode, done.stdout) == (0, f"{task['taskArn']} is interrupted.\n")
    wait_for(lambda: site.task(task["taskArn"])["lastStatus"] == "STOPPED")
    stopped = site.task(task["taskArn"])
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("SpotInterruption", "Your Spot Task was interrupted.")
    # 128 + SIGTERM: the container had its warning.
    assert stopped["containers"][0]["exitCode"] == 143
    again = site.openecs("interrupt", task["taskArn"])
    assert again.returncode == 1
    assert "stops or has stopped already" in again.stderr
