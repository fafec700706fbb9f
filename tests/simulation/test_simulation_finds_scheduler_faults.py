"""Mistakes of a service scheduler, made on purpose: seeds must find each, and by the right rule.

See ``test_simulation_finds_faults``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from mistakes import find

from openecs.acs import payload_container
from openecs.api.ecs import service_records
from openecs.control import launch
from openecs.control.provisioning import Provisioning
from openecs.control.service_zones import ServiceZones
from openecs.control.waiting_services import WaitingServices
from openecs.model.service_deployment import ServiceDeployment
from openecs.planning import (
    circuit_breaker,
    daemon_step,
    image_pins,
    rollback,
    rollout,
    rollout_failure,
    service_deployments,
    service_plan,
    task_set_plan,
    zone_rebalancing,
)
from openecs.planning.placement import filters
from openecs.planning.service_actions import Plan


def test_tasks_that_need_not_prove_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "proves_tasks", lambda service, deployment: False)
    find("stopped healthy tasks|is SUCCESSFUL with")


def test_a_circuit_breaker_that_trips_one_failure_early(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = circuit_breaker.threshold
    monkeypatch.setattr(circuit_breaker, "threshold", lambda *given: threshold(*given) - 1)
    find("FAILED after . failures")


def test_a_circuit_breaker_that_trips_one_failure_late(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = circuit_breaker.threshold
    monkeypatch.setattr(circuit_breaker, "threshold", lambda *given: threshold(*given) + 1)
    find("starts tasks after . failures")


def test_a_circuit_breaker_that_does_not_see_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on AWS, where a container that crashes right after its start never fails a deployment."""
    monkeypatch.setattr(circuit_breaker.task_failures, "exited", lambda task: False)
    # Nothing holds the next start back either: that may go on for ever before a rule is broken.
    find("starts tasks after . failures|has not FAILED|goes on for ever", "roll-outs")


def test_a_deployment_that_fails_and_does_not_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    failure_of = rollout_failure.failure_of

    def stay(*given: Any) -> Any:
        failure = failure_of(*given)
        return failure and failure._replace(rolls_back=False)

    monkeypatch.setattr(rollout, "failure_of", stay)
    find("did not go back to")


def test_a_rollback_to_what_was_completed_before_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    conclude, target = rollout.conclude, rollback.target
    #: Completed deployment → the one that was completed before it.
    earlier: dict[str, Any] = {}

    def mindful(*given: Any, **named: Any) -> Plan:
        plan = conclude(*given, **named)
        known, newest = given[0].service.last_completed, plan.service.last_completed
        if known is not None and newest is not None and known.id != newest.id:
            earlier[newest.id] = known
        return plan

    def too_far(service: Any, *given: Any) -> Any:
        completed = service.last_completed
        return (completed and earlier.get(completed.id)) or target(service, *given)

    monkeypatch.setattr(rollout, "conclude", mindful)
    monkeypatch.setattr(rollback, "target", too_far)
    find("was COMPLETED last", "roll-outs")


def test_a_deployment_that_launches_after_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout.Rollout, "barred", property(lambda self: frozenset(self.resting)))
    find("FAILED and starts tasks")


def test_a_deployment_that_is_over_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def early(service: Any, primary: Any, todo: Any, desired: int) -> bool:
        return len(primary.healthy) >= desired - 1

    monkeypatch.setattr(rollout, "_early_success", early)
    find("is SUCCESSFUL")


def test_a_service_deployment_that_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    advance: Callable[..., ServiceDeployment] = service_deployments.advance

    def restless(record: ServiceDeployment, *given: Any, **more: Any) -> ServiceDeployment:
        after = advance(record, *given, **more)
        if record.status == "ROLLBACK_IN_PROGRESS" and after.finished:
            return msgspec.structs.replace(after, status="IN_PROGRESS", finished_at=None)
        return after

    monkeypatch.setattr(service_deployments, "advance", restless)
    find("went from ROLLBACK_IN_PROGRESS")


def test_a_revision_that_has_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = service_records.deployment

    def other(*given: Any, **more: Any) -> Any:
        made = deployment(*given, **more)
        return msgspec.structs.replace(made, revision_arn=made.revision_arn + "0")

    monkeypatch.setattr(service_records, "deployment", other)
    find("has the service revision")


def test_tasks_that_follow_a_tag_that_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_pins, "digest_for", lambda pins, container: None)
    find("is not started from sha256")


def test_waiting_tasks_that_follow_a_tag_that_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_pins, "settled", lambda containers, pins: containers)
    find("is not started from sha256")


def test_a_digest_that_does_not_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_container, "pinned_reference", lambda image, digest: image)
    find("started container .* and not from sha256", "roll-outs")


def test_a_daemon_that_does_not_wait_for_its_predecessor(monkeypatch: pytest.MonkeyPatch) -> None:
    sort = daemon_step._Daemon._sort_tasks

    def hasty(self: Any) -> None:
        sort(self)
        for place in self.places.values():
            place.going = False

    monkeypatch.setattr(daemon_step._Daemon, "_sort_tasks", hasty)
    find("started a second task")


def test_a_daemon_that_does_not_hear_of_new_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_step._Daemon, "_start", lambda self: None)
    find("is a DAEMON service and has no task|has not FAILED")


def test_a_task_set_with_one_task_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_set_plan, "computed_desired_count", lambda desired, scale: int(desired * scale / 100))
    find("task set ecs-svc/[0-9]+ (of|stopped)")


def test_a_task_set_with_more_tasks_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = task_set_plan.computed_desired_count
    monkeypatch.setattr(task_set_plan, "computed_desired_count", lambda *given: 3 * computed(*given) + 1)
    find("task set ecs-svc/[0-9]+ has")


@pytest.mark.parametrize(("reason", "expected"), [(filters.DISTINCT, "to be alone"), (filters.MEMBER_OF, "may ")])
def test_a_constraint_that_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, reason: str, expected: str) -> None:
    monkeypatch.setattr(filters, "FILTERS", tuple(each for each in filters.FILTERS if each.reason != reason))
    find(expected)


def test_a_provider_without_weight_that_gets_more_than_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    def whoever(strategy: Any, count: int, there: Any) -> dict[str, int]:
        return {next(iter(strategy)).capacity_provider: count}

    monkeypatch.setattr(launch, "shares", whoever)
    find("which has no weight")


def test_a_service_that_is_not_woken_when_room_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WaitingServices, "put", lambda self, service, shortages: None)
    find("finds no room, and|without inputs", "capacity")


def test_waiting_tasks_that_are_not_placed_when_room_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Provisioning, "_note", lambda self, node_id: ())
    find("waits for capacity, and|finds no room, and|tasks of ., and node-. has room", "capacity")


def test_zones_that_stay_unequal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_rebalancing, "eligible", lambda service: False)
    monkeypatch.setattr(ServiceZones, "place_changed", lambda self, notice: ())
    find("has {.*}, and node-. in eu-west")


def test_a_service_that_is_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    replicate = service_plan._replicate
    monkeypatch.setattr(service_plan, "_replicate", lambda *given: replicate(*given)._replace(wake_at=given[-1] + 0.2))
    find("looked .* times")


def test_a_service_that_is_written_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    replicate = service_plan._replicate

    def restless(snapshot: Any, census: Any, now: float) -> Plan:
        plan = replicate(snapshot, census, now)
        return plan._replace(service=msgspec.structs.replace(plan.service, steady_at=now), wake_at=now + 5.0)

    monkeypatch.setattr(service_plan, "_replicate", restless)
    find("commits in one moment")
