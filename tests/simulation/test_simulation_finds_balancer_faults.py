"""Mistakes with load balancers, shifted traffic and hosts' documents, made on purpose: seeds must find each.

See ``test_simulation_finds_faults``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from mistakes import find

from openecs.acs.host_board import HostBoard
from openecs.agent.host.documents import HostDocuments
from openecs.control import balancer_hosts, balancers, registries, registry_instance, service_traffic, targets
from openecs.control.connect_draining import ConnectDraining
from openecs.control.lost_views import LostViews
from openecs.model.task import Task
from openecs.planning import shift_plan, traffic_shift


def _without_the_flag(state: Any, tx: Any, arn: str) -> None:
    task = state.tasks.get(arn)
    if task is not None and task.drains:
        tx.put(msgspec.structs.replace(task, drains=False))


def test_a_target_whose_task_is_not_marked_as_draining(monkeypatch: pytest.MonkeyPatch) -> None:
    arrive = targets._Turn._arrive

    def unmarked(self: Any, tx: Any, task: Task) -> None:
        arrive(self, tx, task)
        _without_the_flag(self._state, tx, task.arn)

    monkeypatch.setattr(targets._Turn, "_arrive", unmarked)
    find("is a target, and its agent may be told to stop it at any time")


def test_an_instance_of_cloud_map_whose_task_is_not_marked_as_draining(monkeypatch: pytest.MonkeyPatch) -> None:
    register = registries.RegistryController._register

    def unmarked(self: Any, tx: Any, task: Task, *rest: Any) -> None:
        register(self, tx, task, *rest)
        _without_the_flag(self._state, tx, task.arn)

    monkeypatch.setattr(registries.RegistryController, "_register", unmarked)
    find("is found in Cloud Map, and its agent may be told to stop it at any time")


def test_a_load_balancer_that_stays_on_a_host_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    place = balancers.place
    monkeypatch.setattr(balancers, "place", lambda seats, places: place([s for s in seats if not s.node_id], places))
    find("eni-.* is still on|eni-.* lives on", "balancers")


def test_a_load_balancer_that_leaves_its_host_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer_hosts, "AWAY_LIMIT", 1.0)
    find("eni-.* left .*, which was away for", "balancers")


def test_hosts_that_are_gone_and_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LostViews, "lost", lambda self, arn: frozenset())
    find("speak of it|is seen by", "balancers")


def test_tasks_that_are_stopped_before_load_balancers_know_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_traffic, "in_force", lambda state, arn: True)
    find("was stopped while its target group had", "shifts")


def test_traffic_that_is_shifted_before_the_tasks_are_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = shift_plan.ShiftFacts
    monkeypatch.setattr(shift_plan, "ShiftFacts", lambda **given: facts(**{**given, "scaled": True}))
    find("gets .* healthy tasks of", "shifts")


def test_a_rollback_that_leaves_the_traffic_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_shift, "give_up", lambda shift: shift)
    find("is ROLLBACK_SUCCESSFUL, and the weights|was stopped while its target group had", "shifts")


def test_weights_that_do_not_make_up_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_traffic, "weights", lambda percent: (100 - int(percent) // 2, int(percent)))
    find("the weights of pair", "shifts")


def test_documents_of_which_nobody_hears_that_they_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = HostBoard.changed

    def deaf(self: HostBoard, kind: str, key: str) -> None:
        if kind != "balancer":
            changed(self, kind, key)

    monkeypatch.setattr(HostBoard, "changed", deaf)
    find("without inputs", "balancers")


def test_documents_that_stay_on_hosts_that_were_away(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = HostDocuments._remove

    def keep(self: HostDocuments, key: tuple[str, str]) -> bool:
        return key[0] != "interface" and remove(self, key)

    monkeypatch.setattr(HostDocuments, "_remove", keep)
    find("holds .* and should hold None")


def test_a_task_of_service_connect_that_is_let_go_of_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectDraining, "_has_drained", lambda self, task: True)
    find("was let go of, and .* still sends requests to it")


def test_a_name_that_leads_to_the_port_inside_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    place = registry_instance._place

    def inside(state: Any, task: Task, registry: Any) -> tuple[str, int | None]:
        address, port = place(state, task, registry)
        return address, registry.container_port or port

    monkeypatch.setattr(registry_instance, "_place", inside)
    find("is found at .* and is not there")
