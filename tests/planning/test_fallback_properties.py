"""What serves never sinks while a revision exists that was complete once, whatever the newest one does.

Long histories: STOPPED tasks are forgotten after an hour, tasks take their time to start, and the
ceiling leaves little room.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_simulation import Simulation, configuration, service

from openecs.planning.deployment_bounds import bounds

PROVEN = "ecs-svc/1"
EVENTS = st.tuples(
    st.sampled_from(["exit", "exit", "stop", "sick", "drain", "wait", "forget", "new"]), st.integers(0, 7)
)
#: What the tasks of the newest revision do before RUNNING.
WAYS = st.sampled_from(["hang", "fail"])


class Slow(Simulation):
    """Tasks start one step after the other, those of newer revisions never for good."""

    way = "hang"

    def _launch(self, deployment_id: str) -> None:
        """Never onto an instance that is drained."""
        super()._launch(deployment_id)
        task = self.started[-1]
        self.change(task, container_instance_arn=f"instance-of-{task.arn}")

    def comes_to_rest(self) -> bool:
        """Whether planning ends while nothing starts and what is told to stop does so at once."""
        for _ in range(60):
            plan = self.step()
            if not plan.starts and not plan.stops:
                return True
            for task in list(self.tasks.values()):
                if task.desired_status == "STOPPED" and not task.stopped:
                    self.finishes_stopping(task)
        return False

    def live(self) -> None:
        started = False
        for task in list(self.tasks.values()):
            if task.stopped:
                continue
            if task.desired_status == "STOPPED":
                self.finishes_stopping(task)
            elif task.deployment_id == PROVEN:
                if task.last_status == "PENDING" and not started:
                    # One at a time.
                    self.runs(task, "HEALTHY")
                    started = True
            elif self.way == "fail" and task.last_status == "PENDING":
                self.fails_to_start(task)

    def forget(self) -> None:
        for task in [t for t in self.tasks.values() if t.stopped and t.stopped_at < self.now - 3600]:
            del self.tasks[task.arn]

    def recover(self) -> None:
        """Nothing happens for a while."""
        for _ in range(30):
            self.now += 61.0
            self.step()
            self.live()

    def suffer(self, what: str, number: int) -> None:
        served = self.healthy(PROVEN)
        task = served[number % len(served)] if served else None
        if what == "wait":
            self.now += 2.0**number * 40
        elif what == "forget":
            self.now += 4000.0
            self.step()
            self.forget()
        elif what == "new":
            self.way = ("hang", "fail")[number % 2]
        elif task is None:
            return
        elif what == "exit":
            self.exits(task)
        elif what == "stop":
            self.change(task, desired_status="STOPPED", stop_code="UserInitiated", stopped_reason="by user")
        elif what == "sick":
            self.change(task, health_status="UNHEALTHY")
        elif what == "drain":
            self.draining.add(task.container_instance_arn)


def begun(desired: int, minimum: int, maximum: int, breaker: str, *, health_check: bool) -> Slow:
    options = {"minimum": minimum, "maximum": maximum}
    if breaker == "off":
        record = service(desired, **options)
    else:
        settled = configuration(**options, rollback=False, threshold=("COUNT", 3), reset=False)
        record = service(desired, deployment_configuration=settled)
    simulation = Slow(record, health_check=health_check)
    simulation.settle(rounds=100)
    simulation.now += 1000
    return simulation


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    desired=st.integers(1, 6),
    minimum=st.sampled_from([0, 50, 75, 100]),
    maximum=st.sampled_from([100, 125, 150]),
    breaker=st.sampled_from(["off", "stalls"]),
    health_check=st.booleans(),
    way=WAYS,
    history=st.lists(st.lists(EVENTS, max_size=4), max_size=8),
)
def test_what_serves_never_sinks_while_a_proven_revision_exists(
    desired, minimum, maximum, breaker, health_check, way, history
):
    simulation = begun(desired, minimum, maximum, breaker, health_check=health_check)
    floor, ceiling = bounds(simulation.service, desired)
    simulation.way = way
    simulation.update(2)
    for events in history:
        simulation.step()
        simulation.live()
        for what, number in events:
            simulation.suffer(what, number)
            simulation.now += 1.0
        assert simulation.comes_to_rest(), simulation.describe()
        simulation.recover()
        stalled = simulation.service.primary.rollout_state == "FAILED"
        kept = any(d.id == PROVEN for d in simulation.service.deployments)
        if not kept:
            # Percentages of zero let the old revision go before the new one serves.
            assert floor == 0
            return
        assert len(simulation.healthy(PROVEN)) >= (desired if stalled else floor), simulation.describe()
        # Instances that are drained are left as far as the percentages can do it.
        left = [t for t in simulation.alive(PROVEN) if t.container_instance_arn in simulation.draining]
        if stalled and (floor < desired or ceiling > desired):
            assert not left, simulation.describe()
