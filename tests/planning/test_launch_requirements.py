"""Launch types of container instances, and that the agent claims what placement reads."""

from __future__ import annotations

import pytest

from openecs.agent.attributes import attributes
from openecs.agent.config import AgentConfig
from openecs.agent.runtime.protocol import EngineInfo
from openecs.planning.launch_requirements import launch_types

INFO = EngineInfo(
    name="docker",
    version="1",
    api_version=(1, 41),
    cpus=2,
    memory_mib=1024,
    architecture="x86_64",
    cgroup_version="2",
    cgroup_driver="systemd",
    log_drivers=(),
)


@pytest.mark.parametrize(
    ("given", "served"),
    [
        ({}, {"EC2"}),
        ({"ecs.capability.external": ""}, {"EXTERNAL"}),
        ({"openecs.launch-types": "EC2,EXTERNAL"}, {"EC2", "EXTERNAL"}),
        ({"openecs.launch-types": "EC2,EXTERNAL", "ecs.capability.external": ""}, {"EC2", "EXTERNAL"}),
        ({"openecs.launch-types": "EXTERNAL"}, {"EXTERNAL"}),
    ],
)
def test_what_an_instance_serves(given: dict[str, str], served: set[str]) -> None:
    assert launch_types(given) == served


@pytest.mark.parametrize(("external", "served"), [(False, {"EC2", "EXTERNAL"}), (True, {"EXTERNAL"})])
def test_our_agent_serves_both_unless_it_is_external(*, external: bool, served: set[str]) -> None:
    config = AgentConfig(endpoint="http://127.0.0.1:1", region="r-1", data_dir="/nowhere", external=external)
    claimed = attributes(config, INFO, node_id="n", task_eni=False, task_limits=False, metadata=False)
    by_name = {a.name: a.value or "" for a in claimed}
    assert launch_types(by_name) == served
    assert ("ecs.capability.external" in by_name) is external
