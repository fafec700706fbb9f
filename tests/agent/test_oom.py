"""Telling kills for memory use from other kills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openecs.agent.engine import kernel_log
from openecs.agent.engine.oom import OomWatch
from openecs.agent.runtime.protocol import ContainerInfo

ID = "324e7c61"
LOG = """6,100,5000000,-;docker0: port 3 entered forwarding state
6,101,7500000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,oom_memcg=/ecs/t,task_memcg=/ecs/t/324e7c61,task=tail,pid=3,uid=0
 SUBSYSTEM=none
6,102,9000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/docker/other,task=tail,pid=4,uid=0
"""


def ended(**members: Any) -> ContainerInfo:
    values: dict[str, Any] = {
        "id": ID,
        "name": "c",
        "image_id": "i",
        "status": "exited",
        "pid": 0,
        "labels": {},
        "created_at": 1.0,
        "started_at": 1000.0,
        "finished_at": 1010.0,
        "exit_code": 137,
    }
    return ContainerInfo(**(values | members))


def watch(*, logged: bool = False) -> OomWatch:
    return OomWatch(grace=0.01, kernel=lambda container_id, since: logged)


@pytest.mark.parametrize(
    ("info", "heard_at", "stopping", "expected"),
    [
        (ended(oom_killed=True), None, False, True),
        (ended(oom_killed=True), None, True, True),
        (ended(), 1009.9, False, True),
        (ended(), None, False, False),
        # The event came for every container of the task; this one ended otherwise.
        (ended(exit_code=1), 1009.9, False, False),
        (ended(), 1009.9, True, False),
        # A child was killed long before somebody killed the container.
        (ended(), 1001.0, False, False),
    ],
)
async def test_an_event_counts_only_for_an_end_by_sigkill_that_is_not_ours(
    info: ContainerInfo, heard_at: float | None, stopping: bool, expected: bool
) -> None:
    oom = watch()
    if heard_at is not None:
        await oom.hear(ID, heard_at)
    assert await oom.killed(info, stopping=stopping) is expected


async def test_the_kernels_log_is_asked_last() -> None:
    assert await watch(logged=True).killed(ended(), stopping=False)
    assert not await watch(logged=True).killed(ended(), stopping=True)
    assert not await watch(logged=True).killed(ended(exit_code=0), stopping=False)


def test_the_kernels_log_names_the_container_and_the_time(tmp_path: Path) -> None:
    kmsg, stat = tmp_path / "kmsg", tmp_path / "stat"
    kmsg.write_text(LOG)
    stat.write_text("cpu 1 2 3\nbtime 2000\n")
    assert kernel_log.kills(LOG, ID) == [7.5]
    assert kernel_log.oom_killed(ID, 2005.0, kmsg=kmsg, stat=stat)
    assert not kernel_log.oom_killed(ID, 2010.0, kmsg=kmsg, stat=stat)
    assert not kernel_log.oom_killed("absent", None, kmsg=kmsg, stat=stat)
    assert not kernel_log.oom_killed(ID, None, kmsg=tmp_path / "none", stat=stat)
