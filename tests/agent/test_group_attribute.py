"""What an agent registers of the Auto Scaling group that it joined under."""

from __future__ import annotations

import pytest
from test_claimed_log_drivers import INFO

from openecs.agent.attributes import attributes
from openecs.agent.config import AgentConfig


@pytest.mark.parametrize("group", [None, "blue-machines"])
def test_the_group_is_an_attribute(group: str | None) -> None:
    config = AgentConfig(endpoint="http://127.0.0.1:1", region="r-1", data_dir="/nowhere", group=group)
    claimed = attributes(config, INFO, node_id="n", task_eni=False, task_limits=False, metadata=False)
    values = {a.name: a.value for a in claimed}
    assert values.get("openecs.auto-scaling-group") == group
