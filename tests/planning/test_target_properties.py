"""Random histories of a service behind a load balancer: its floor is one of healthy targets.

Every step of the simulation checks that no start goes above ``maximumPercent`` and that no stop of
a task that is a healthy target goes below ``minimumHealthyPercent``.
"""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import Simulation, deployment, service
from test_service_plan_properties import act

from openecs.planning.target_verdict import TargetFailure, TargetVerdict
from openecs.shapes import ecs

BALANCERS = (ecs.LoadBalancer(target_group_arn="arn:group", container_name="web", container_port=80),)
VERDICTS = {
    "target healthy": TargetVerdict("HEALTHY"),
    "target unknown": TargetVerdict("UNKNOWN"),
    "target sick": TargetVerdict("UNHEALTHY", TargetFailure("arn:group", 80, "Request timed out")),
}
ROUND = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(
                    "all well",
                    "all well",
                    "run",
                    "fail",
                    "exit",
                    "stopped",
                    "update",
                    "scale",
                    "drain",
                    "undrain",
                    "wait",
                ),
                *VERDICTS,
                "target sick",
            ]
        ),
        st.integers(0, 11),
    ),
    max_size=6,
)


class Balanced(Simulation):
    """Every deployment has a load balancer, which finds what runs healthy unless it was told otherwise."""

    def update(self, number: int) -> None:
        super().update(number)
        newest, *older = self.service.deployments
        newest = msgspec.structs.replace(newest, load_balancers=BALANCERS)
        self.service = msgspec.structs.replace(self.service, deployments=(newest, *older))

    def everything_goes_well(self) -> None:
        super().everything_goes_well()
        for task in self.tasks.values():
            if task.last_status == "RUNNING":
                self.targets[task.arn] = VERDICTS["target healthy"]

    def says(self, verdict: str, number: int) -> None:
        running = [task for task in self.tasks.values() if task.last_status == "RUNNING"]
        if running:
            self.targets[running[number % len(running)].arn] = VERDICTS[verdict]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    desired=st.integers(0, 6),
    minimum=st.sampled_from([0, 50, 100]),
    maximum=st.sampled_from([100, 150, 200]),
    grace=st.sampled_from([None, 30]),
    history=st.lists(ROUND, max_size=12),
)
def test_random_histories_of_targets_are_safe_and_converge(desired, minimum, maximum, grace, history):
    first = deployment(1, load_balancers=BALANCERS)
    record = service(
        desired, minimum=minimum, maximum=maximum, health_check_grace_period_seconds=grace, deployments=(first,)
    )
    simulation = Balanced(record)
    update = 2
    for events in history:
        simulation.step()
        for what, number in events:
            if what in VERDICTS:
                simulation.says(what, number)
            else:
                act(simulation, what, number, update)
            update += 1
        simulation.now += 1.0
    simulation.draining.clear()
    for _ in range(120):
        result = simulation.step()
        if simulation.service.steady:
            break
        if any("Update the minimumHealthyPercent" in event.text for event in result.events):
            wanted = simulation.service.desired_count
            assert -(-wanted * minimum // 100) == wanted * maximum // 100, simulation.describe()
            return
        simulation.everything_goes_well()
        if result.wake_at is not None and not result.starts and not result.stops:
            simulation.now = max(simulation.now, result.wake_at)
        simulation.now += 1.0
    assert simulation.service.steady, simulation.describe()
    assert len(simulation.healthy()) == simulation.service.desired_count
    assert len(simulation.service.deployments) == 1
