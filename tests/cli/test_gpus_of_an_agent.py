"""``openecs agent --gpus`` with a real control plane: tasks wait for, get and give back what it offers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_groups_and_interrupts import Site
from waiting import wait_for

from openecs.cli.agent import agent
from openecs.cli.client import Client
from openecs.cli.supervisor import program


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A control plane, and a machine elsewhere with two GPUs."""
    site = Site(tmp_path)
    up = site.openecs("up", "--detach", "--port", "0", "--no-agent")
    assert up.returncode == 0, up.stderr
    site.call("CreateCluster", clusterName="default")
    pair = Client(site.installation.credentials()).post("/_openecs/agent-keys")
    keys = {"OPENECS_AGENT_ACCESS_KEY_ID": pair["access_key_id"], "OPENECS_AGENT_SECRET_KEY": pair["secret_key"]}
    words = ("agent", "--endpoint", site.installation.credentials().endpoint, "--runtime", "fake")
    machine = subprocess.Popen(
        program(*words, "--gpus", "GPU-1, GPU-2", "--data-dir", str(tmp_path / "machine")),
        env={**os.environ, **keys},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield site
    finally:
        machine.terminate()
        machine.wait(20)
        assert site.openecs("down", "--keep-tasks").returncode == 0


def gpus(site: Site, kind: str) -> list[str]:
    arns = site.call("ListContainerInstances")["containerInstanceArns"]
    (shown,) = site.call("DescribeContainerInstances", containerInstances=arns)["containerInstances"]
    (found,) = [resource for resource in shown[kind] if resource["name"] == "GPU"]
    return list(found["stringSetValue"])


def test_gpus_from_the_agent_to_the_task_and_back(site: Site) -> None:
    wait_for(lambda: site.call("ListContainerInstances")["containerInstanceArns"])
    assert gpus(site, "registeredResources") == gpus(site, "remainingResources") == ["GPU-1", "GPU-2"]
    container: dict[str, Any] = {"name": "a", "image": "busybox", "memory": 64, "command": ["sleep", "1000"]}
    container["resourceRequirements"] = [{"type": "GPU", "value": "2"}]
    site.call("RegisterTaskDefinition", family="train", containerDefinitions=[container])
    # The instance is listed when it has registered; tasks go there when its agent has connected.
    (task,) = wait_for(lambda: site.call("RunTask", taskDefinition="train")["tasks"])
    assert task["containers"][0]["gpuIds"] == ["GPU-1", "GPU-2"]
    wait_for(lambda: site.task(task["taskArn"])["lastStatus"] == "RUNNING")
    assert site.task(task["taskArn"])["containers"][0]["gpuIds"] == ["GPU-1", "GPU-2"]
    assert gpus(site, "remainingResources") == []
    (failure,) = site.call("RunTask", taskDefinition="train")["failures"]
    assert failure["reason"] == "RESOURCE:GPU"
    site.call("StopTask", task=task["taskArn"])
    wait_for(lambda: site.task(task["taskArn"])["lastStatus"] == "STOPPED")
    assert gpus(site, "remainingResources") == ["GPU-1", "GPU-2"]


def test_an_id_is_named_once() -> None:
    answer = CliRunner().invoke(agent, ["--endpoint", "http://127.0.0.1:1", "--gpus", "a,a"])
    assert answer.exit_code == 2
    assert "an id is given twice" in answer.output
