"""Interrupting FARGATE_SPOT tasks: which ones, and what becomes of them."""

from __future__ import annotations

import msgspec
import pytest

from openecs.errors import AWSError
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.server.interrupt import Interruptions
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

ARN = "arn:aws:ecs:eu-west-1:123456789012:task/default/0123456789abcdef0123456789abcdef"
SPOT = Task(
    arn=ARN,
    region="eu-west-1",
    cluster_arn="c",
    task_definition_arn="d",
    launch_type="FARGATE",
    desired_status="RUNNING",
    last_status="RUNNING",
    created_at=1.0,
    group="family:web",
    containers=(),
    reservation=Resources(),
    node_id="n",
    capacity_provider_name="FARGATE_SPOT",
)


class FixedClock:
    def now(self) -> float:
        return 42.0


def state_with(**changes: object) -> State:
    state = State(MemoryJournal())
    with state.transaction() as tx:
        tx.put(msgspec.structs.replace(SPOT, **changes))
    return state


@pytest.mark.parametrize("reference", [ARN, ARN.rsplit("/", 1)[1]])
async def test_the_task_is_told_to_stop_as_on_aws(reference: str) -> None:
    state = state_with()
    assert await Interruptions(state, FixedClock()).interrupt({"task": reference}) == {"task": ARN}
    task = state.tasks.get(ARN)
    assert task is not None
    assert (task.desired_status, task.last_status, task.stopping_at) == ("STOPPED", "DEACTIVATING", 42.0)
    assert (task.stop_code, task.stopped_reason) == ("SpotInterruption", "Your Spot Task was interrupted.")


@pytest.mark.parametrize(
    ("changes", "body", "text"),
    [
        ({"capacity_provider_name": "FARGATE"}, {"task": ARN}, "not started by the capacity provider FARGATE_SPOT"),
        ({"capacity_provider_name": None}, {"task": ARN}, "not started by the capacity provider FARGATE_SPOT"),
        ({"desired_status": "STOPPED"}, {"task": ARN}, "stops or has stopped already"),
        ({"desired_status": "STOPPED", "last_status": "STOPPED"}, {"task": ARN}, "stops or has stopped already"),
        ({}, {"task": "absent"}, "was not found"),
        ({}, {"task": ""}, "Give the task"),
        ({}, {"task": 7}, "Give the task"),
        ({}, {}, "Give the task"),
    ],
)
async def test_refusals_change_nothing(changes: dict[str, object], body: dict[str, object], text: str) -> None:
    state = state_with(**changes)
    before = state.store.revision
    with pytest.raises(AWSError, match=text):
        await Interruptions(state, FixedClock()).interrupt(body)
    assert state.store.revision == before
