"""A DAEMON service under the planner: instances come, go and drain as the test says."""

from __future__ import annotations

from itertools import count

import msgspec
from service_simulation import CLUSTER, START, deployment, is_healthy, service

from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task, TaskContainer
from openecs.planning.service_actions import Plan
from openecs.planning.service_places import DaemonInstance
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot


def daemon(*, minimum: int | None = 0, **changes: object) -> Service:
    return service(0, minimum=minimum, maximum=100, scheduling_strategy="DAEMON", **changes)


class DaemonSimulation:
    """Carries plans out to the letter and checks after each that no instance has two tasks."""

    def __init__(self, record: Service, *instances: str, health_check: bool = False) -> None:
        self.service = record
        self.health_check = health_check
        self.now = START
        self.tasks: dict[str, Task] = {}
        self.instances: dict[str, DaemonInstance] = {}
        #: Instance → deployments that do not match it; without an entry all do.
        self.unsuitable: dict[str, frozenset[str]] = {}
        self.full: set[str] = set()
        self.said: list[str] = []
        self._numbers = count(1)
        for name in instances:
            self.join(name)

    # The cluster.

    def join(self, name: str) -> None:
        self.instances[name] = DaemonInstance(name, active=True, connected=True, matches=frozenset())

    def set(self, name: str, **changes: object) -> None:
        self.instances[name] = self.instances[name]._replace(**changes)

    def drain(self, name: str, *, occupied: bool = False) -> None:
        self.set(name, active=False, occupied=occupied)

    def _seen(self) -> tuple[DaemonInstance, ...]:
        ids = frozenset(d.id for d in self.service.deployments)
        return tuple(
            instance._replace(
                matches=ids - self.unsuitable.get(name, frozenset()), refused=instance.refused or name in self.full
            )
            for name, instance in self.instances.items()
        )

    # The planner.

    def step(self) -> Plan:
        draining = frozenset(name for name, instance in self.instances.items() if not instance.active)
        snapshot = ServiceSnapshot(self.service, tuple(self.tasks.values()), draining, self._seen())
        result = plan(snapshot, self.now)
        self._check(result)
        self.service = result.service
        for start in result.starts:
            assert start.count == len(start.container_instances)
            for name in start.container_instances:
                self._launch(start.deployment_id, name)
        for stop in result.stops:
            self.change(
                self.tasks[stop.task_arn],
                desired_status="STOPPED",
                stopping_at=self.now,
                stop_code=stop.stop_code,
                stopped_reason=stop.stopped_reason,
            )
        self.said += [event.text for event in result.events]
        self._check_alone()
        return result

    def settle(self, rounds: int = 60) -> None:
        for _ in range(rounds):
            result = self.step()
            if not result.starts and not result.stops and self.service.steady and not self._unfinished():
                return
            self.everything_goes_well()
            self.now += 1.0
        raise AssertionError(f"never settled: {self.describe()}")

    def _check(self, result: Plan) -> None:
        """Never below the floor by the planner's own doing, never onto an instance that is not to be used."""
        for start in result.starts:
            for name in start.container_instances:
                instance = self.instances[name]
                assert instance.active, name
                assert instance.connected, name
                assert start.deployment_id not in self.unsuitable.get(name, frozenset())
        going = {stop.task_arn for stop in result.stops}
        serving = {t.arn for t in self.alive() if is_healthy(t) and self._active(t)}
        replaced = {stop.task_arn for stop in result.stops if stop.reason == "a newer deployment replaces it"} & serving
        if replaced:
            minimum = self.service.deployment_configuration.minimum_healthy_percent or 0
            floor = -(-result.service.desired_count * minimum // 100)
            assert len(serving - going) >= min(floor, len(serving) - len(going & serving - replaced)), self.describe()

    def _check_alone(self) -> None:
        for name in self.instances:
            there = [t for t in self.tasks.values() if t.container_instance_arn == name and not t.stopped]
            assert len(there) <= 1, self.describe()

    def _active(self, task: Task) -> bool:
        instance = self.instances.get(task.container_instance_arn or "")
        return instance is not None and instance.active

    def _launch(self, deployment_id: str, name: str) -> None:
        number = next(self._numbers)
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
            service_arn=self.service.arn,
            deployment_id=deployment_id,
            node_id=name,
            container_instance_arn=name,
        )
        self.tasks[task.arn] = task

    # What happens to tasks.

    def change(self, task: Task, **changes: object) -> Task:
        self.tasks[task.arn] = msgspec.structs.replace(self.tasks[task.arn], **changes)
        return self.tasks[task.arn]

    def runs(self, task: Task) -> None:
        self.change(task, last_status="RUNNING", started_at=self.now)

    def ends(self, task: Task, code: str = "EssentialContainerExited") -> None:
        self.change(
            task,
            desired_status="STOPPED",
            last_status="STOPPED",
            stopped_at=self.now,
            stop_code=self.tasks[task.arn].stop_code or code,
        )

    def stops_end(self) -> None:
        for task in list(self.tasks.values()):
            if task.desired_status == "STOPPED" and not task.stopped:
                self.ends(task)

    def everything_goes_well(self) -> None:
        self.stops_end()
        for task in self.alive():
            if task.last_status == "PENDING":
                self.runs(task)
            elif self.health_check and task.health_status == "UNKNOWN":
                self.change(task, health_status="HEALTHY")

    def update(self, number: int) -> None:
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in self.service.deployments)
        self.service = msgspec.structs.replace(self.service, deployments=(deployment(number, self.now), *older))

    # What a test looks at.

    def alive(self, deployment_id: str | None = None) -> list[Task]:
        return [
            task
            for task in self.tasks.values()
            if task.desired_status == "RUNNING"
            and not task.stopped
            and (deployment_id is None or task.deployment_id == deployment_id)
        ]

    def on(self, name: str) -> list[Task]:
        return [task for task in self.alive() if task.container_instance_arn == name]

    def healthy(self, deployment_id: str | None = None) -> list[Task]:
        return [task for task in self.alive(deployment_id) if is_healthy(task)]

    def _unfinished(self) -> bool:
        return any(
            not task.stopped and (task.desired_status == "STOPPED" or not is_healthy(task))
            for task in self.tasks.values()
        )

    def describe(self) -> str:
        lines = [f"desired {self.service.desired_count} {[d.id + d.status for d in self.service.deployments]}"]
        lines += [str(instance) for instance in self.instances.values()]
        lines += [
            f"{t.deployment_id} {t.last_status}->{t.desired_status} {t.health_status} on {t.container_instance_arn}"
            for t in self.tasks.values()
            if not t.stopped
        ]
        return "\n".join(lines)
