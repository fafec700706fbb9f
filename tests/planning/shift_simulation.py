"""A service whose deployments shift traffic, under the planner alone, with load balancers that take their time."""

from __future__ import annotations

import msgspec
from service_simulation import Simulation, deployment, service

from openecs.ids import RandomIds
from openecs.model.service import Service
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import target_slots
from openecs.planning.service_actions import Plan, Start
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot, TrafficView
from openecs.planning.shift_plan import shifts
from openecs.planning.traffic_shift import STAGES
from openecs.shapes import ecs

IDS = RandomIds()
PAIR = (
    ecs.LoadBalancer(
        target_group_arn="one",
        container_name="web",
        container_port=80,
        advanced_configuration=ecs.AdvancedConfiguration(alternate_target_group_arn="two"),
    ),
)


def configured(strategy: str = "BLUE_GREEN", **more: object) -> ecs.DeploymentConfiguration:
    base: dict[str, object] = {"maximum_percent": 200, "minimum_healthy_percent": 100, "bake_time_in_minutes": 0}
    return ecs.DeploymentConfiguration(strategy=strategy, **(base | more))  # type: ignore[arg-type]


class ShiftSimulation(Simulation):
    """Its first deployment is complete; ``begin`` starts one that shifts traffic."""

    def __init__(self, desired: int, configuration: ecs.DeploymentConfiguration, *, tests: bool = False) -> None:
        done = deployment(1, rollout_state="COMPLETED", first_running_at=1.0)
        record: Service = service(desired, deployments=(done,), deployment_configuration=configuration)
        super().__init__(msgspec.structs.replace(record, last_completed=done))
        self.tests = tests
        self.shift: TrafficShift | None = None
        #: What the load balancers have: production and test percent of the newest deployment.
        self.routed: tuple[float, float] = (0.0, 0.0)
        #: Whether they follow what is wanted of them.
        self.following = True
        self.stages: list[str] = []
        self.percents: list[float] = []
        self.settle()

    def begin(self, number: int) -> None:
        """A new deployment, as UpdateService makes it."""
        base = target_slots.base(self.service)
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in self.service.deployments)
        active = len(older)
        self.service = msgspec.structs.replace(
            self.service,
            deployments=(deployment(number, self.now), *older),
            production_id=base.id if base is not None else None,
            steady=False,
        )
        stage = "RECONCILE_SERVICE" if active > 1 else "PRE_SCALE_UP"
        self.shift = TrafficShift(stage=stage, stage_started_at=self.now)
        self.routed = (-1.0, -1.0)

    def step(self) -> Plan:
        if self.shift is None:
            return super().step()
        before = self.shift
        view = TrafficView(
            before,
            self.service.deployment_configuration,
            IDS,
            applied=self.routed == (before.production, before.test),
            tests=self.tests,
        )
        snapshot = ServiceSnapshot(
            self.service,
            tuple(self.tasks.values()),
            frozenset(self.draining),
            stop_requested=self.stop_requested,
            traffic=view,
        )
        if not shifts(snapshot):
            return super().step()
        result = plan(snapshot, self.now)
        self._check_shift(before, result)
        self.service = result.service
        self.shift = result.shift or before
        if self.shift.stage != before.stage or not self.stages:
            self.stages.append(self.shift.stage)
        if self.shift.production != before.production:
            self.percents.append(self.shift.production)
        if self.following:
            self.routed = (self.shift.production, self.shift.test)
        for action in result.actions:
            if isinstance(action, Start):
                for _ in range(action.count):
                    self._launch(action.deployment_id)
        for stop in result.stops:
            task = self.tasks[stop.task_arn]
            self.change(task, desired_status="STOPPED", stopping_at=self.now, stopped_reason=stop.stopped_reason)
        self.said += [event.text for event in result.events]
        self.last = result
        return result

    def _check_shift(self, before: TrafficShift, result: Plan) -> None:
        after = result.shift
        assert after is not None
        green = result.service.primary
        assert green is not None
        if after.production > before.production or after.test > before.test:
            healthy = len(self.healthy(green.id))
            assert healthy >= self.service.desired_count, (after, self.describe())
        going = {stop.task_arn for stop in result.stops}
        blue = result.service.production_id
        if blue in (None, green.id) or after.stage == "CLEAN_UP":
            return
        # What is in production keeps what it needs, until there is nothing left for it to do.
        left = [task for task in self.healthy(blue) if task.arn not in going]
        gone = [task for task in self.healthy(blue) if task.arn in going]
        assert not gone or len(left) >= self.service.desired_count, self.describe()

    def run(self, rounds: int = 60) -> None:
        """Let everything go well until nothing is left to do, or something waits for a person."""
        for _ in range(rounds):
            before = (self.service, self.shift, dict(self.tasks), self.routed)
            result = self.step()
            self.everything_goes_well()
            if before == (self.service, self.shift, self.tasks, self.routed):
                if result.wake_at is None or self.waits() or not self._soon(result):
                    return
                self.now = max(self.now, result.wake_at)
            self.now += 0.01

    def _soon(self, result: Plan) -> bool:
        """What is to happen within an hour; a day is how long things may take at most."""
        return result.wake_at is not None and result.wake_at - self.now <= 3600.0

    def waits(self) -> bool:
        return self.shift is not None and any(run.status == "AWAITING_ACTION" for run in self.shift.hooks)

    def count(self, number: int) -> int:
        return len(self.alive(f"ecs-svc/{number}"))

    def in_order(self) -> bool:
        places = [STAGES.index(stage) for stage in self.stages]
        return places == sorted(places)
