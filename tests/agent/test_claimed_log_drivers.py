"""The agent claims a log driver only where tasks could use it."""

from __future__ import annotations

import pytest

from openecs.agent.attributes import attributes
from openecs.agent.config import AgentConfig
from openecs.agent.runtime.protocol import EngineInfo

PREFIX = "com.amazonaws.ecs.capability.logging-driver."
INFO = EngineInfo(
    name="docker",
    version="1",
    api_version=(1, 41),
    cpus=2,
    memory_mib=1024,
    architecture="x86_64",
    cgroup_version="2",
    cgroup_driver="systemd",
    log_drivers=("json-file", "awslogs", "splunk"),
)


@pytest.mark.parametrize("metadata", [True, False])
def test_awslogs_needs_the_credentials_endpoint(*, metadata: bool) -> None:
    config = AgentConfig(endpoint="http://127.0.0.1:1", region="r-1", data_dir="/nowhere")
    claimed = attributes(config, INFO, node_id="n", task_eni=False, task_limits=False, metadata=metadata)
    names = {a.name for a in claimed}
    drivers = {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}
    assert drivers == {"json-file", "none", *(["awslogs"] if metadata else [])}
    assert ("ecs.capability.execution-role-awslogs" in names) is metadata
