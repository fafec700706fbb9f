"""What load balancers make of a task, and what the planner makes of that."""

from __future__ import annotations

import msgspec
import pytest
from service_simulation import Simulation, configuration, deployment, service

from openecs.model.target_group import HealthCheck, Target
from openecs.planning import circuit_breaker
from openecs.planning.service_actions import names_health_checks
from openecs.planning.target_state import TargetCondition
from openecs.planning.target_verdict import NOT_REGISTERED, SeenTarget, TargetFailure, TargetVerdict, judge
from openecs.shapes import ecs

HEALTHY = TargetVerdict("HEALTHY")
SICK = TargetVerdict("UNHEALTHY", TargetFailure("arn:group", 80, "Request timed out"))


def seen(
    state: str,
    group: str = "a",
    *,
    healthy_at: float | None = None,
    reason: str | None = None,
    description: str | None = None,
) -> SeenTarget:
    target = Target(target_group_arn=group, id="10.0.0.1", port=80, registered_at=100.0)
    condition = TargetCondition(state, reason, description)
    return SeenTarget(target, condition, healthy_at, HealthCheck(protocol="HTTP", interval=30, unhealthy_threshold=2))


@pytest.mark.parametrize(
    ("wanted", "targets", "health"),
    [
        (1, [], "UNKNOWN"),
        (1, [seen("initial")], "UNKNOWN"),
        (1, [seen("unused")], "UNKNOWN"),
        (1, [seen("draining")], "UNKNOWN"),
        (1, [seen("healthy")], "HEALTHY"),
        # Nobody looks because nobody is to look, or because nobody can.
        (1, [seen("unavailable", reason="Target.HealthCheckDisabled")], "HEALTHY"),
        (1, [seen("unavailable", reason="Elb.InternalError", healthy_at=101.0)], "UNKNOWN"),
        (2, [seen("healthy")], "UNKNOWN"),
        (2, [seen("healthy"), seen("initial", "b")], "UNKNOWN"),
        (2, [seen("healthy"), seen("healthy", "b")], "HEALTHY"),
        (2, [seen("healthy"), seen("unhealthy", "b")], "UNHEALTHY"),
        (2, [seen("unhealthy", "b")], "UNHEALTHY"),
    ],
)
def test_health_of_a_task_is_that_of_all_its_targets(wanted: int, targets: list[SeenTarget], health: str):
    assert judge(wanted, targets).health == health


def test_a_target_that_was_never_healthy_is_spared_as_long_as_its_own_settings_say():
    assert judge(1, [seen("unhealthy")]).spared_until == 160.0
    assert judge(1, [seen("unhealthy", healthy_at=101.0)]).spared_until == 0.0


def test_what_failed_first_is_named():
    verdict = judge(2, [seen("unhealthy", "b"), seen("unhealthy", "a", healthy_at=101.0, description="codes: [503]")])
    assert verdict.failure == TargetFailure("a", 80, "codes: [503]")


class Balanced(Simulation):
    """A service with a load balancer: ``targets`` is what that says."""

    def __init__(self, record, **options: object) -> None:
        super().__init__(record, **options)
        self.refuses: set[str] = set()

    def everything_goes_well(self) -> None:
        super().everything_goes_well()
        for task in self.tasks.values():
            if task.last_status == "RUNNING" and task.deployment_id not in self.refuses:
                self.targets.setdefault(task.arn, HEALTHY)
                if self.targets[task.arn].health == "HEALTHY" and task.targets_healthy_at is None:
                    self.change(task, targets_healthy_at=self.now)


BALANCERS = (ecs.LoadBalancer(target_group_arn="arn:group", container_name="web", container_port=80),)


def balanced(desired: int, **changes: object) -> Balanced:
    changes.setdefault("deployments", (deployment(1, load_balancers=BALANCERS),))
    health_check = bool(changes.pop("health_check", False))
    simulation = Balanced(service(desired, **changes), health_check=health_check)
    simulation.settle()
    return simulation


def update(simulation: Balanced, number: int) -> None:
    simulation.update(number)
    _, *older = simulation.service.deployments
    newest = deployment(number, simulation.now, load_balancers=BALANCERS)
    simulation.service = msgspec.structs.replace(simulation.service, deployments=(newest, *older))


def test_a_task_that_is_no_target_yet_holds_a_deployment_up():
    simulation = balanced(2)
    update(simulation, 2)
    simulation.refuses.add("ecs-svc/2")
    for _ in range(20):
        simulation.step()
        simulation.everything_goes_well()
        simulation.now += 5
    assert len(simulation.healthy("ecs-svc/1")) == 2
    assert len(simulation.alive("ecs-svc/2")) == 2
    assert simulation.service.primary.rollout_state == "IN_PROGRESS"
    simulation.refuses.clear()
    simulation.settle()
    assert not simulation.alive("ecs-svc/1")
    assert simulation.service.primary.rollout_state == "COMPLETED"


@pytest.mark.parametrize(("minimum", "maximum", "started_first"), [(100, 200, True), (50, 100, False)])
def test_an_unhealthy_target_is_replaced_within_the_percentages(minimum: int, maximum: int, started_first: bool):
    simulation = balanced(2, minimum=minimum, maximum=maximum)
    sick, _ = simulation.healthy()
    simulation.targets[sick.arn] = SICK
    result = simulation.step()
    assert bool(result.starts) is started_first
    assert bool(result.stops) is not started_first
    simulation.settle()
    gone = simulation.tasks[sick.arn]
    assert gone.stopped_reason == "Task failed ELB health checks in (target-group arn:group)"
    assert names_health_checks(gone.stopped_reason)
    assert len(simulation.healthy()) == 2


def test_unhealthy_counts_for_nothing_within_the_grace_period_or_while_it_is_spared():
    simulation = balanced(1, health_check_grace_period_seconds=100)
    (task,) = simulation.healthy()
    simulation.targets[task.arn] = SICK
    result = simulation.step()
    assert not result.starts
    assert result.wake_at == task.started_at + 100
    simulation.targets[task.arn] = SICK._replace(spared_until=task.started_at + 300)
    result = simulation.step()
    assert result.wake_at == task.started_at + 300
    simulation.now = task.started_at + 300
    assert simulation.step().starts


def test_container_and_target_have_to_be_healthy_both():
    simulation = balanced(1, health_check=True)
    (task,) = simulation.healthy()
    simulation.change(task, health_status="UNHEALTHY")
    simulation.settle()
    assert simulation.tasks[task.arn].stopped_reason == "Task failed container health checks"
    (task,) = simulation.healthy()
    simulation.targets[task.arn] = SICK
    simulation.settle()
    assert simulation.tasks[task.arn].stopped_reason == "Task failed ELB health checks in (target-group arn:group)"


def test_the_circuit_breaker_counts_tasks_that_fail_the_load_balancers_checks():
    simulation = balanced(1, deployment_configuration=configuration())
    update(simulation, 2)
    for _ in range(200):
        simulation.step()
        simulation.everything_goes_well()
        for task in simulation.alive("ecs-svc/2"):
            simulation.targets[task.arn] = SICK
            simulation.change(task, targets_healthy_at=None)
        simulation.now += 5
        if simulation.service.primary.rolls_back:
            break
    failed = [t for t in simulation.started if t.deployment_id == "ecs-svc/2"]
    assert len(failed) >= 3
    assert simulation.service.primary.rolls_back == "ecs-svc/2"
    assert len(simulation.healthy("ecs-svc/1")) == 1


def test_a_balanced_task_became_healthy_with_its_targets():
    simulation = balanced(1)
    (task,) = simulation.healthy()
    assert circuit_breaker.became_healthy(task, balanced=True) == task.targets_healthy_at
    simulation.change(task, targets_healthy_at=None)
    assert circuit_breaker.became_healthy(simulation.tasks[task.arn], balanced=True) == float("inf")
    assert circuit_breaker.became_healthy(task) == task.started_at + circuit_breaker.PROOF_PERIOD


def test_what_is_not_registered_is_neither():
    assert NOT_REGISTERED.health == "UNKNOWN"
