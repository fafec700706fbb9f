"""Mistakes made on purpose: each is one that programmers make, and seeds must find it.

A rule that nothing can break proves nothing.  Every test breaks the product in one place and
asks for the rule that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from mistakes import find

from openecs.acs import connection as connections
from openecs.acs import messages as m
from openecs.acs.connection import Connection
from openecs.agent.engine.actions import Actions
from openecs.agent.engine.worker import TaskWorker
from openecs.model import task_state
from openecs.model.task import Task
from openecs.planning import deployment_bounds, service_plan
from openecs.planning.deployment_bounds import Bounds
from openecs.state.store import Store
from openecs.state.usage import Usage


def test_a_reply_before_its_change_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Store, revision: int | None = None) -> None:
        return

    monkeypatch.setattr(Store, "durable", at_once)
    outcome = find(
        "after a crash|does not know|no task of that name is remembered|task was not found|after .* without inputs"
    )
    assert any("the control plane is gone" in line for line in outcome.trace)


def test_a_stop_that_is_not_said_again_after_a_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(self: Connection) -> None:
        live = self._state.tasks.by("live_on_node", self.node_id)
        listed = [m.ManifestTask(task.arn, task.cluster_arn) for task in live]
        self._frames.append(self._session.manifest(listed, self._clock.now()))
        for task in live:
            if task.desired_status == "RUNNING":
                self._changed[task.arn] = None

    monkeypatch.setattr(Connection, "_begin", begin)
    monkeypatch.setattr(Connection, "_should_run", lambda self, arn: arn in self._state.tasks)
    find("without inputs: .*(desired STOPPED|DRAINING|runs|PENDING)")


def test_protection_that_is_not_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "protected", lambda self, now: False)
    find("was stopped while it was protected")


def test_capacity_that_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Usage._add

    def keep(self: Usage, task: Task, sign: int) -> None:
        if sign > 0 or task.last_status in ("PENDING", "PROVISIONING", "RUNNING"):
            add(self, task, sign)
        # Otherwise it is on its way out, and what it held is forgotten about.

    monkeypatch.setattr(Usage, "_add", keep)
    find("finds no room, and node-. has enough|counts NodeUsage")


def test_capacity_that_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Usage, "_add", lambda self, task, sign: None)
    find("to be alone|its tasks hold|gave a host port twice|counts NodeUsage")


def test_a_status_that_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = task_state.apply_report

    def believe(task: Task, report: Any, now: float) -> Task:
        changed = apply(task, report, now)
        if report.status in ("PENDING", "RUNNING") and not changed.stopped:
            changed = msgspec.structs.replace(changed, last_status=report.status)
        return changed

    monkeypatch.setattr(task_state, "apply_report", believe)
    find("went back from")


def test_more_tasks_than_maximum_percent_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = deployment_bounds.bounds

    def generous(service: Any, desired: int) -> Bounds:
        limits = bounds(service, desired)
        return limits._replace(upper=limits.upper + 1)

    monkeypatch.setattr(service_plan, "bounds", generous)
    find("beyond maximumPercent")


def test_healthy_tasks_that_are_stopped_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = deployment_bounds.bounds
    monkeypatch.setattr(service_plan, "bounds", lambda service, desired: bounds(service, desired)._replace(lower=0))
    find("stopped healthy tasks")


def test_a_container_that_is_started_again_because_an_answer_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Actions._start

    async def forgetful(self: Actions, container: Any) -> Any:
        self._perhaps_started.clear()
        return await start(self, msgspec.structs.replace(container, doing="start"))

    monkeypatch.setattr(Actions, "_start", forgetful)
    find("ran container .* again|second container", "everything")


def test_an_agent_that_forgets_what_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are not kept on disk: after a restart the agent knows nothing of them."""
    take: Callable[..., None] = TaskWorker._take

    def forget(self: TaskWorker, group: Any, fact: Any) -> None:
        take(self, group, fact)
        if self.state.status == "RUNNING":
            self._parts.store.remove(self.payload.arn)

    monkeypatch.setattr(TaskWorker, "_take", forget)
    find(".")


def test_an_acknowledgement_that_is_taken_for_running(monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge = task_state.acknowledge

    def believe(task: Task, desired_status: str, *, now: float) -> Task:
        changed = acknowledge(task, desired_status, now=now)
        if desired_status == "RUNNING" and changed.last_status == "PENDING":
            return msgspec.structs.replace(changed, last_status="RUNNING", started_at=now)
        return changed

    monkeypatch.setattr(connections.task_state, "acknowledge", believe)
    find("no engine ever started")
