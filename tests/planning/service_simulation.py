"""A service and its tasks under the planner, without anything else: the life of tasks is
directed by the test, the planner's actions are carried out to the letter."""

from __future__ import annotations

from itertools import count

import msgspec

from openecs.model.resources import Resources
from openecs.model.service import Deployment, Service
from openecs.model.task import Task, TaskContainer
from openecs.planning.deployment_bounds import bounds
from openecs.planning.rollout import in_progress
from openecs.planning.service_actions import Plan, Start
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot, health_of
from openecs.planning.target_verdict import TargetVerdict
from openecs.shapes import ecs

START = 1_700_000_000.0
CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/default"
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/default/web"


def deployment(number: int, now: float = START, **changes: object) -> Deployment:
    identifier = f"ecs-svc/{number}"
    base = Deployment(
        id=identifier,
        status="PRIMARY",
        task_definition_arn=f"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:{number}",
        created_at=now,
        updated_at=now,
        rollout_state="IN_PROGRESS",
        rollout_state_reason=in_progress(identifier),
        launch_type="EC2",
    )
    return msgspec.structs.replace(base, **changes)


def configuration(
    *,
    minimum: int = 100,
    maximum: int = 200,
    rollback: bool = True,
    threshold: tuple[str, int] | None = None,
    reset: bool | None = None,
    **changes: object,
) -> ecs.DeploymentConfiguration:
    """A configuration with the circuit breaker on."""
    given = ecs.ThresholdConfiguration(type=threshold[0], value=threshold[1]) if threshold else None
    breaker = ecs.DeploymentCircuitBreaker(
        enable=True, rollback=rollback, reset_on_healthy_task=reset, threshold_configuration=given
    )
    return ecs.DeploymentConfiguration(
        maximum_percent=maximum, minimum_healthy_percent=minimum, deployment_circuit_breaker=breaker, **changes
    )


def service(desired: int, *, minimum: int = 100, maximum: int = 200, **changes: object) -> Service:
    base = Service(
        arn=SERVICE,
        name="web",
        cluster_arn=CLUSTER,
        region="eu-west-1",
        status="ACTIVE",
        desired_count=desired,
        created_at=START,
        deployments=(deployment(1),),
        deployment_configuration=ecs.DeploymentConfiguration(maximum_percent=maximum, minimum_healthy_percent=minimum),
    )
    return msgspec.structs.replace(base, **changes)


def is_healthy(task: Task) -> bool:
    """Whether a task is healthy by what is observed of it, proof period aside."""
    return health_of(task) == "HEALTHY"


class Simulation:
    """Runs ``plan`` over a service whose tasks live as the test says."""

    def __init__(self, record: Service, *, health_check: bool = False, nodes: int = 3, capacity: int = 10_000) -> None:
        self.service = record
        self.health_check = health_check
        self.capacity = capacity
        self.nodes = nodes
        self.now = START
        self.tasks: dict[str, Task] = {}
        self.draining: set[str] = set()
        self.stop_requested: str | None = None
        self.alarms: set[str] = set()
        self.lost_after: float | None = None
        #: Task ARN → what its load balancers say, for deployments with load balancers.
        self.targets: dict[str, TargetVerdict] = {}
        self.said: list[str] = []
        self.started: list[Task] = []
        self.last: Plan | None = None
        self._numbers = count(1)

    # What the planner sees and does.

    def step(self) -> Plan:
        """Plan once, check the safety rules, carry the plan out."""
        snapshot = ServiceSnapshot(
            self.service,
            tuple(self.tasks.values()),
            frozenset(self.draining),
            stop_requested=self.stop_requested,
            alarms_in_alarm=frozenset(self.alarms),
            lost_after=self.lost_after,
            targets=self.targets,
        )
        result = plan(snapshot, self.now)
        self._check_safety(result)
        self.service = result.service
        for action in result.actions:
            if isinstance(action, Start):
                for _ in range(action.count):
                    self._launch(action.deployment_id)
        for stop in result.stops:
            task = self.tasks[stop.task_arn]
            self.change(
                task,
                desired_status="STOPPED",
                last_status="DEACTIVATING" if task.last_status == "RUNNING" else task.last_status,
                stopping_at=self.now,
                stop_code=stop.stop_code,
                stopped_reason=stop.stopped_reason,
            )
        self.said += [event.text for event in result.events]
        self.last = result
        return result

    def settle(self, rounds: int = 40) -> Plan:
        """Let everything go well until a plan asks for nothing; returns that plan."""
        for _ in range(rounds):
            result = self.step()
            if not result.actions and self.last is result and not self.unfinished():
                primary = self.service.primary
                if result.wake_at is None or primary is None or primary.rollout_state != "IN_PROGRESS":
                    return result
                # Tasks prove themselves, or failures are waited out.
                self.now = max(self.now, result.wake_at)
                continue
            self.everything_goes_well()
            self.now += 1.0
        raise AssertionError(f"the service never settled: {self.describe()}")

    def _check_safety(self, result: Plan) -> None:
        limits = bounds(self.service, self.service.desired_count)
        existing = sum(not task.stopped and not self._lost(task) for task in self.tasks.values())
        starting = sum(start.count for start in result.starts)
        if starting:
            assert existing + starting <= limits.upper, self.describe()
        going = {stop.task_arn for stop in result.stops}
        healthy = {task.arn for task in self.healthy() if not self._lost(task)}
        if self.service.status == "ACTIVE" and healthy & going:
            assert len(healthy - going) >= min(limits.lower, self.service.desired_count), self.describe()

    def _lost(self, task: Task) -> bool:
        since = task.unreachable_since
        return since is not None and self.lost_after is not None and since + self.lost_after <= self.now

    def _launch(self, deployment_id: str) -> None:
        if sum(not task.stopped for task in self.tasks.values()) >= self.capacity:
            return
        number = next(self._numbers)
        node = number % self.nodes
        task = Task(
            arn=f"arn:aws:ecs:eu-west-1:123456789012:task/default/{number:032x}",
            region="eu-west-1",
            cluster_arn=CLUSTER,
            task_definition_arn="arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="PENDING",
            created_at=self.now,
            group="service:web",
            containers=(TaskContainer(arn="c", name="web", image="web", has_health_check=self.health_check),),
            reservation=Resources(cpu=1, memory=1),
            service_arn=SERVICE,
            deployment_id=deployment_id,
            node_id=f"node-{node}",
            container_instance_arn=f"instance-{node}",
            availability_zone=f"zone-{node % 2}",
        )
        self.tasks[task.arn] = task
        self.started.append(task)

    # What the world does to tasks.

    def change(self, task: Task, **changes: object) -> Task:
        self.tasks[task.arn] = msgspec.structs.replace(self.tasks[task.arn], **changes)
        return self.tasks[task.arn]

    def runs(self, task: Task, health: str = "UNKNOWN") -> None:
        self.change(task, last_status="RUNNING", started_at=task.started_at or self.now, health_status=health)

    def fails_to_start(self, task: Task) -> None:
        self._ends(task, "TaskFailedToStart", "CannotPullContainerError: not found")

    def exits(self, task: Task) -> None:
        self._ends(task, "EssentialContainerExited", "Essential container in task exited")

    def finishes_stopping(self, task: Task) -> None:
        self.change(task, last_status="STOPPED", stopped_at=self.now)

    def _ends(self, task: Task, code: str, reason: str) -> None:
        self.change(
            task,
            desired_status="STOPPED",
            last_status="STOPPED",
            stopped_at=self.now,
            stop_code=self.tasks[task.arn].stop_code or code,
            stopped_reason=self.tasks[task.arn].stopped_reason or reason,
        )

    def everything_goes_well(self) -> None:
        for task in list(self.tasks.values()):
            if task.stopped or task.unreachable_since is not None:
                continue
            if task.desired_status == "STOPPED":
                self.finishes_stopping(task)
            elif task.last_status == "PENDING":
                self.runs(task)
            elif task.last_status == "RUNNING" and self.health_check and task.health_status == "UNKNOWN":
                self.change(task, health_status="HEALTHY", healthy_at=self.now)

    def update(self, number: int) -> None:
        """A new deployment, as UpdateService makes it."""
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in self.service.deployments)
        self.service = msgspec.structs.replace(self.service, deployments=(deployment(number, self.now), *older))

    def scale(self, desired: int) -> None:
        self.service = msgspec.structs.replace(self.service, desired_count=desired)

    # What a test looks at.

    def alive(self, deployment_id: str | None = None) -> list[Task]:
        """Tasks that nobody told to stop."""
        return [
            task
            for task in self.tasks.values()
            if task.desired_status == "RUNNING"
            and not task.stopped
            and (deployment_id is None or task.deployment_id == deployment_id)
        ]

    def healthy(self, deployment_id: str | None = None) -> list[Task]:
        return [task for task in self.alive(deployment_id) if is_healthy(task) and self._serves(task)]

    def _serves(self, task: Task) -> bool:
        """Whether the task's load balancers, if it has any, hold it to be healthy."""
        balanced = any(d.id == task.deployment_id and d.load_balancers for d in self.service.deployments)
        verdict = self.targets.get(task.arn)
        return not balanced or (verdict is not None and verdict.health == "HEALTHY")

    def unfinished(self) -> bool:
        return any(
            not task.stopped
            and task.unreachable_since is None
            and (task.desired_status == "STOPPED" or not (is_healthy(task) and self._serves(task)))
            for task in self.tasks.values()
        )

    def describe(self) -> str:
        lines = [f"desired {self.service.desired_count} {[d.id + d.status for d in self.service.deployments]}"]
        lines += [
            f"{t.deployment_id} {t.last_status}->{t.desired_status} {t.health_status} on {t.node_id}"
            for t in self.tasks.values()
            if not t.stopped
        ]
        return "\n".join(lines)
