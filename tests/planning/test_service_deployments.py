"""The record of a roll-out follows the service, however far the service got in between."""

from __future__ import annotations

import msgspec
import pytest
from service_simulation import SERVICE, START, Simulation, configuration, service

from openecs.model.service_deployment import ServiceDeployment
from openecs.planning.service_deployments import advance
from openecs.shapes import ecs


def attempt(number: int, **changes: object) -> ServiceDeployment:
    base = ServiceDeployment(
        arn=f"{SERVICE.replace(':service/', ':service-deployment/')}/{number}",
        service_arn=SERVICE,
        cluster_arn="c",
        deployment_id=f"ecs-svc/{number}",
        target_revision_arn=f"revision/{number}",
        created_at=START,
        updated_at=START,
        status="PENDING",
        deployment_configuration=configuration(),
    )
    return msgspec.structs.replace(base, **changes)


class Followed(Simulation):
    """A simulation whose service deployments are moved on after every plan."""

    def __init__(self, **options: object) -> None:
        super().__init__(service(2, deployment_configuration=configuration(**options)))
        self.records = {1: attempt(1)}
        self.seen: dict[int, list[str]] = {1: ["PENDING"]}

    def step(self):
        result = super().step()
        for number, record in list(self.records.items()):
            after = advance(record, self.service, now=self.now, in_alarm=frozenset(self.alarms))
            assert after is record or not record.finished
            assert advance(after, self.service, now=self.now + 1, in_alarm=frozenset(self.alarms)) is after
            self.records[number] = after
            if after.status != self.seen[number][-1]:
                self.seen[number].append(after.status)
        return result

    def deploy(self, number: int) -> None:
        self.update(number)
        self.service = msgspec.structs.replace(
            self.service,
            deployments=tuple(
                msgspec.structs.replace(d, revision_arn=f"revision/{d.id.split('/')[1]}")
                for d in self.service.deployments
            ),
        )
        self.records[number] = attempt(number)
        self.seen[number] = ["PENDING"]

    def run(self, rounds: int = 40, *, failing: str | None = None) -> None:
        for _ in range(rounds):
            self.step()
            for task in self.alive(failing) if failing else []:
                if task.last_status == "PENDING":
                    self.fails_to_start(task)
            self.everything_goes_well()
            self.now += 1


def test_success():
    followed = Followed()
    followed.run()
    record = followed.records[1]
    assert followed.seen[1] == ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]
    assert record.circuit_breaker_status == "MONITORING_COMPLETE"
    assert (record.failure_count, record.threshold) == (0, 3)
    assert record.started_at == START
    assert record.finished_at is not None
    assert record.stopped_at is None


def test_rollback_by_the_circuit_breaker():
    followed = Followed()
    followed.run()
    followed.deploy(2)
    followed.run(failing="ecs-svc/2")
    record = followed.records[2]
    assert followed.seen[2] == ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    assert record.circuit_breaker_status == "TRIGGERED"
    assert (record.failure_count, record.threshold) == (4, 3)
    assert record.rollback_revision_arn == "revision/1"
    assert (
        record.rollback_reason == "Service deployment rolled back because the circuit breaker threshold was exceeded."
    )
    assert record.rollback_started_at <= record.finished_at
    # The first one is history and stays as it was.
    assert followed.records[1].status == "SUCCESSFUL"


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_deployment_failed_of_is_known_without_its_text_and_of_old_records_by_it(kept):
    simulation = Simulation(service(2, deployment_configuration=configuration()))
    simulation.stop_requested = "ABORT"
    simulation.step()
    (failed,) = simulation.service.deployments
    assert failed.cause == "request"
    changes = {"rollout_state_reason": "in other words"} if kept else {"cause": None}
    simulation.service = msgspec.structs.replace(
        simulation.service, deployments=(msgspec.structs.replace(failed, **changes),)
    )
    after = advance(attempt(1), simulation.service, now=START)
    assert after.status_reason == "Service deployment stopped because of a StopServiceDeployment request."


def test_failure_without_rollback():
    followed = Followed(rollback=False)
    followed.run()
    followed.deploy(2)
    followed.run(failing="ecs-svc/2")
    assert followed.seen[2] == ["PENDING", "IN_PROGRESS", "STOPPED"]
    assert followed.records[2].stopped_at == followed.records[2].finished_at
    assert followed.records[2].circuit_breaker_status == "TRIGGERED"


def test_a_rollback_that_fails_too():
    followed = Followed(minimum=0)
    followed.run()
    followed.deploy(2)
    for _ in range(40):
        followed.step()
        for task in followed.alive():
            if task.last_status == "PENDING":
                followed.fails_to_start(task)
            else:
                followed.exits(task)
        followed.now += 1
    assert followed.seen[2] == ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"]


def test_a_newer_deployment_stops_the_one_under_way():
    followed = Followed()
    followed.run()
    followed.deploy(2)
    followed.step()
    followed.deploy(3)
    followed.run()
    assert followed.seen[2] == ["PENDING", "IN_PROGRESS", "STOPPED"]
    assert followed.seen[3][-1] == "SUCCESSFUL"


@pytest.mark.parametrize(("kind", "end"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("ABORT", "STOPPED")])
def test_stopped_by_request(kind, end):
    followed = Followed()
    followed.run()
    followed.deploy(2)
    followed.step()
    followed.stop_requested = kind
    followed.step()
    followed.stop_requested = None
    followed.run()
    assert followed.seen[2][-1] == end
    assert followed.records[2].circuit_breaker_status == "MONITORING_COMPLETE"
    assert "StopServiceDeployment" in followed.records[2].status_reason


def test_alarms_are_named():
    followed = Followed(alarms=ecs.DeploymentAlarms(alarm_names=("errors", "load"), enable=True, rollback=True))
    followed.run()
    followed.deploy(2)
    followed.step()
    assert followed.records[2].alarms_status == "MONITORING"
    followed.alarms.add("load")
    followed.run()
    assert followed.records[2].alarms_status == "TRIGGERED"
    assert followed.records[2].triggered_alarms == ("load",)
    assert followed.seen[2][-1] == "ROLLBACK_SUCCESSFUL"


def test_deleting_the_service_ends_it():
    followed = Followed()
    followed.step()
    followed.service = msgspec.structs.replace(followed.service, status="DRAINING", desired_count=0)
    followed.step()
    assert followed.seen[1] == ["PENDING", "IN_PROGRESS", "STOPPED"]
