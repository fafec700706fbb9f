"""Mistakes with tasks behind load balancers, made on purpose: seeds must find each, by the right rule.

See ``test_simulation_finds_faults``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from mistakes import find

from openecs.acs import connection
from openecs.control import registries, service_launches, targets
from openecs.control.draining_targets import DrainingTargets
from openecs.control.service_targets import ServiceTargets
from openecs.model.task import Task
from openecs.planning import service_snapshot
from openecs.planning.target_verdict import TargetVerdict


def test_an_order_to_stop_that_does_not_wait_for_draining(monkeypatch: pytest.MonkeyPatch) -> None:
    news = connection.Connection._news

    def hasty(self: Any, now: float) -> list[str]:
        for arn in self._changed:
            task = self._state.tasks.get(arn)
            if task is None or task.stopped or not task.drains or task.desired_status != "STOPPED":
                continue
            if self._session.needs(arn, "STOPPED"):
                self._frames.append(self._session.payload(connection.render_stop(arn), now))
        return news(self, now)

    monkeypatch.setattr(connection.Connection, "_news", hasty)
    find("was told to stop it while it drains")


def test_a_stop_that_leaves_the_targets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_launches, "begin_draining", lambda *given: [])
    find("goes on getting new requests")


def test_a_target_whose_task_may_be_stopped_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(self: Any, tx: Any, task: Task) -> None:
        tx.put(msgspec.structs.replace(task, drains=False))

    monkeypatch.setattr(targets._Turn, "_release", at_once)
    find("its agent may be told to stop it at any time")


def test_a_planner_that_takes_every_target_for_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_snapshot, "NOT_REGISTERED", TargetVerdict("HEALTHY"))
    monkeypatch.setattr(ServiceTargets, "of", lambda self, service: {})
    find("stopped healthy tasks|is SUCCESSFUL with")


def test_draining_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DrainingTargets, "_health_changed", lambda self, notice: ())
    monkeypatch.setattr(DrainingTargets, "reconcile", lambda self, key: targets.Done())
    find("without inputs: .*(drains|DEACTIVATING|is DRAINING|runs . of)")


def test_services_that_do_not_hear_of_target_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServiceTargets, "health_changed", lambda self, notice: ())
    find("stopped healthy tasks|runs . of|is SUCCESSFUL with|without inputs")


def test_tasks_that_stay_in_cloud_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "_leaves", lambda task: False)
    # What is still found is never released: its agent waits for the order to stop, and the service for its end.
    find("without inputs: .*(Cloud Map|DEACTIVATING|is DRAINING|runs . of)")


def test_tasks_that_nobody_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries.RegistryController, "_register", lambda *given: None)
    find("Cloud Map does not find")
