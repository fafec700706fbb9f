"""How many reports of one agent are under way at a time."""

from __future__ import annotations

import asyncio

from openecs.agent.engine.task_state import Report
from openecs.agent.reporting import Reporter


class _Slow:
    """A control plane that answers when it is told to."""

    def __init__(self) -> None:
        self.under_way: set[str | None] = set()
        self.most = 0
        self.taken: list[str | None] = []
        self.answer = asyncio.Event()

    async def submit_task_state_change(self, request) -> None:
        self.under_way.add(request.task)
        self.most = max(self.most, len(self.under_way))
        await self.answer.wait()
        self.under_way.remove(request.task)
        self.taken.append(request.task)


async def test_a_burst_of_reports_needs_few_connections_and_loses_none():
    api = _Slow()
    reporter = Reporter(api)
    tasks = [f"task-{number}" for number in range(40)]
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(reporter.send("default", task, [Report(status="RUNNING")]))
        while not api.under_way:
            await asyncio.sleep(0)
        api.answer.set()
    assert sorted(api.taken) == sorted(tasks)
    assert 1 < api.most <= 4
