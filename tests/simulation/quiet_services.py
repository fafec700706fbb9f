"""What every service must come to once inputs stop and everything works.

A service is as it was asked to be, or it says why it is not and that is true.  ``going_on`` says
what is still to come of one service; ``Rooms`` knows on which machine a task would fit.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deployment_rules import family
from service_clients import DISTINCT, NOT_IN_B
from service_rules import share
from workload import FAILING, NEVER_HEALTHY, ZONES_ALLOWED

from openecs.model.resources import Resources
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.planning.reservation import task_reservation
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulated_node import Node
    from simulation import World

    from openecs.state.state import State

NO_ROOM = "unable to place a task"
STUCK = "because of the service deployment configuration"


class QuietServices:
    """Asks every service whether it has come to rest."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def _state(self) -> State:
        return self._world.start_control_plane().state

    def going_on(self, service: Service) -> str | None:
        """What is still to come; ``None`` at rest."""
        if service.status == "INACTIVE":
            return None
        if service.status == "DRAINING":
            return f"{service.name} is DRAINING"
        if service.deployment_controller == "EXTERNAL":
            return next(filter(None, (self._task_set(service, d) for d in service.deployments)), None)
        if service.scheduling_strategy == "DAEMON":
            return self._daemon(service)
        return self._replicas(service)

    def restless(self, service: Service) -> bool:
        """Whether tasks of the service come and go for ever."""
        return service.status == "ACTIVE" and any(
            family(d.task_definition_arn) in FAILING and d.rollout_state != "FAILED" for d in service.deployments
        )

    # -- kinds of services ----------------------------------------------------------------

    def _replicas(self, service: Service) -> str | None:
        primary = service.primary
        assert primary is not None
        running = [t for t in self._tasks(service) if t.last_status == "RUNNING" and t.desired_status == "RUNNING"]
        said = self._said(service)
        if service.steady and len(running) == service.desired_count and len(service.deployments) == 1:
            return self._record(service) or self._zones(service, running)
        if primary.rollout_state == "FAILED":
            # It launches nothing any more, and what runs stays.
            return self._record(service)
        fails = self._must_fail(service, primary)
        if fails is not None and not any(NO_ROOM in message for message in said):
            return fails
        if self.restless(service) and any("has started" in message or NO_ROOM in message for message in said):
            return None
        if _no_way(service) and any(STUCK in message for message in said):
            return None
        if any(NO_ROOM in message for message in said):
            # It says why; is it true?
            room = self._room_for(service, primary)
            return None if room is None else f"{service.name} says that it finds no room, and {room} has enough"
        return f"{service.name} runs {len(running)} of {service.desired_count} tasks, and says {said[:3]}"

    def _must_fail(self, service: Service, primary: Deployment) -> str | None:
        """A deployment of tasks that are never healthy is ended by the circuit breaker."""
        breaker = service.deployment_configuration.deployment_circuit_breaker
        if (
            breaker is None
            or not breaker.enable
            or primary.rollout_state != "IN_PROGRESS"
            or family(primary.task_definition_arn) not in NEVER_HEALTHY
            or _no_way(service)
        ):
            return None
        return f"{primary.id} of {service.name} never has a healthy task and has not FAILED"

    def _record(self, service: Service) -> str | None:
        """The newest service deployment is over, too."""
        record = self._state.service_deployments.get(service.service_deployment_arn or "")
        if record is None:
            return f"{service.name} has no service deployment"
        return None if record.finished else f"{service.name} has come to rest and {record.arn} is {record.status}"

    def _zones(self, service: Service, running: list[Task]) -> str | None:
        """With rebalancing the zones hold equally many tasks, as far as there is room."""
        primary = service.primary
        upper = service.desired_count * (service.deployment_configuration.maximum_percent or 0) // 100
        # Without the resync nobody tries a zone again that was full: that room came is not noticed.
        if service.availability_zone_rebalancing != "ENABLED" or not self._world.resync or primary is None:
            return None
        if service.placement_constraints or primary.capacity_provider_strategy or primary.launch_type == "FARGATE":
            return None
        if primary.rollout_state != "COMPLETED":
            return None
        if upper <= service.desired_count or family(primary.task_definition_arn) in (*FAILING, "zonal"):
            return None
        counts = Counter(task.availability_zone for task in running)
        most = max(counts.values(), default=0)
        for node in self._serving():
            if most - counts[node.zone] > 1 and self._room_for(service, primary, node) is not None:
                return f"{service.name} has {dict(counts)}, and {node.name} in {node.zone} has room"
        return None

    def _daemon(self, service: Service) -> str | None:
        primary = service.primary
        assert primary is not None
        if primary.rollout_state == "FAILED":
            return self._record(service)
        fails = self._must_fail(service, primary)
        wanted = [node for node in self._active() if self._allows(service, primary, node)]
        minimum = service.deployment_configuration.minimum_healthy_percent or 0
        live = {t.node_id: t for t in self._tasks(service) if not t.stopped}
        # What is needed for the floor cannot be replaced: by one instance, or for want of room on others.
        said = self._said(service)
        stuck = len(live) <= -(-len(wanted) * minimum // 100) and any(STUCK in m or NO_ROOM in m for m in said)
        # No task fails where none is started: beside an older one that the floor holds, however much room is there.
        held = live.keys() if stuck else ()
        if fails is not None and any(n.node_id not in held and self._fits(service, primary, n) for n in wanted):
            return fails
        if self.restless(service):
            return None
        for node in wanted:
            task = live.pop(node.node_id, None)
            if task is None and self._fits(service, primary, node):
                return f"{service.name} is a DAEMON service and has no task on {node.name}, which has room"
            if stuck and task is not None and task.deployment_id != primary.id:
                return None
            if task is not None and (task.last_status != "RUNNING" or task.deployment_id != primary.id):
                return f"{service.name} has {task.arn} on {node.name}: {task.last_status} of {task.deployment_id}"
        if live:
            return f"{service.name} has tasks where it should not: {sorted(task.arn for task in live.values())}"
        if service.desired_count != len(wanted):
            return f"{service.name} wants {service.desired_count} tasks and matches {len(wanted)} instances"
        full = any(NO_ROOM in message for message in said)
        return self._record(service) if service.steady or not full else None

    def _task_set(self, service: Service, deployment: Deployment) -> str | None:
        tasks = [t for t in self._tasks(service) if t.deployment_id == deployment.id and not t.stopped]
        if deployment.status == "DRAINING":
            return f"task set {deployment.id} is DRAINING"
        if self.restless(service):
            return None
        wanted = share(service, deployment)
        if len(tasks) == wanted and all(t.last_status == t.desired_status == "RUNNING" for t in tasks):
            settings = deployment.task_set
            assert settings is not None
            steady = settings.stability_status == "STEADY_STATE"
            return None if steady else f"task set {deployment.id} has all its tasks and is {settings.stability_status}"
        room = self._room_for(service, deployment) if len(tasks) <= wanted else "nothing"
        if room is None and any(NO_ROOM in message for message in self._said(service)):
            return None
        return f"task set {deployment.id} of {service.name} has {len(tasks)} tasks of {wanted}, and {room} has room"

    # -- where there is room --------------------------------------------------------------

    def room_on(self, node: Node, wanted: Resources, *, fargate: bool) -> str | None:
        """The node's name, when it has as much free."""
        record = self._state.nodes.get(node.node_id)
        if record is None or (fargate and not record.fargate_pool):
            return None
        held = [t.reservation for t in self._world.checker.tasks.values() if t.node_id == record.id and not t.stopped]
        cpu = record.capacity.cpu - sum(r.cpu for r in held)
        memory = record.capacity.memory - sum(r.memory for r in held)
        taken = {port for r in held for port in r.ports}
        if wanted.cpu <= cpu and wanted.memory <= memory and not taken.intersection(wanted.ports):
            return node.name
        return None

    def _room_for(self, service: Service, deployment: Deployment, only: Node | None = None) -> str | None:
        """A node on which a task of the deployment would fit."""
        groups = {
            t.capacity_provider_name
            for t in self._tasks(service)
            if t.waiting is not None and t.deployment_id == deployment.id
        }
        for node in [only] if only is not None else self._serving():
            if groups and node.group not in groups:
                continue
            if self._allows(service, deployment, node) and self._fits(service, deployment, node):
                return node.name
        return None

    def _fits(self, service: Service, deployment: Deployment, node: Node) -> bool:
        definition = self._state.task_definitions.get(deployment.task_definition_arn)
        if definition is None:
            return False
        if DISTINCT in service.placement_constraints and any(
            t.node_id == node.node_id and not t.stopped for t in self._tasks(service)
        ):
            return False
        wanted = task_reservation(definition.definition, None)
        return self.room_on(node, wanted, fargate=deployment.launch_type == "FARGATE") is not None

    # -- small ----------------------------------------------------------------------------

    def _tasks(self, service: Service) -> tuple[Task, ...]:
        tasks: tuple[Task, ...] = self._state.tasks.by("service", service.arn)
        return tasks

    @staticmethod
    def _allows(service: Service, deployment: Deployment, node: Node) -> bool:
        return allows(service.placement_constraints, deployment.task_definition_arn, node)

    def _said(self, service: Service) -> list[str]:
        record = self._state.service_events.get(service.arn)
        return [event.message or "" for event in record.events] if record else []

    def _active(self) -> list[Node]:
        """Nodes that are container instances which take tasks; one that is retired may still be one."""
        state = self._state
        return [
            node
            for node in self._world.nodes
            if any(i.status == "ACTIVE" for i in state.container_instances.by("node", node.node_id))
            and (record := state.nodes.get(node.node_id)) is not None
            and record.agent_connected
        ]

    def _serving(self) -> list[Node]:
        return [node for node in self._world.nodes if not node.retired]


def allows(constraints: tuple[ecs.PlacementConstraint, ...], task_definition_arn: str, node: Node) -> bool:
    """Whether memberOf constraints, those of the definition included, let tasks run on a node."""
    if NOT_IN_B in constraints and node.zone == "eu-west-1b":
        return False
    return family(task_definition_arn) != "zonal" or node.zone in ZONES_ALLOWED


def _no_way(service: Service) -> bool:
    """Whether the percentages leave no room to replace a task."""
    configuration = service.deployment_configuration
    lower = -(-service.desired_count * (configuration.minimum_healthy_percent or 0) // 100)
    return service.desired_count * (configuration.maximum_percent or 0) // 100 <= lower
