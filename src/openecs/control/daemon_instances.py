"""The container instances of a cluster as its DAEMON services see them, and whom to wake.

Gathers what ``planning.daemon_step`` decides by: which instances meet the constraints of which
deployment, whether something can be started there, and whether others still run on a DRAINING
one.  Remembers instances that refused a task for want of room until something changes on their
node, so that a full instance is not tried again and again; that memory is a hint and may be
lost.

Constraints that ask for ``runningTasksCount`` or ``task:group`` are judged without the
service's own tasks, or a daemon would drive itself away.  Nothing wakes a service when such an
answer changes; the next look at the service, at the latest the resync, takes it into account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from openecs.model.node import ContainerInstance, Node
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.planning import cluster_query
from openecs.planning.launch_requirements import SERVICE_CONNECT, launch_types, required_attributes
from openecs.planning.service_places import DaemonInstance
from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds after which a refusal is forgotten even if nothing seems to have changed.
REFUSAL_LASTS = 600.0
#: Subjects whose answers change without a change of the instance's record.
_DYNAMIC = ("runningTasksCount", "task:group")


class _Needs(NamedTuple):
    """What a deployment asks of a container instance besides room."""

    deployment_id: str
    launch_type: str
    attributes: frozenset[str]
    architecture: str | None
    constraints: tuple[cluster_query.Expression, ...]

    def met_by(self, facts: cluster_query.InstanceFacts) -> bool:
        """Whether an instance with these facts will do."""
        attributes = facts.attributes
        return (
            self.launch_type in launch_types(attributes)
            and self.attributes <= attributes.keys()
            and (self.architecture is None or attributes.get("ecs.cpu-architecture") == self.architecture)
            and all(constraint.matches(facts) for constraint in self.constraints)
        )

    @property
    def dynamic(self) -> bool:
        """Whether the answer depends on more than the records of instance and node."""
        return any(subject in c.text for c in self.constraints for subject in _DYNAMIC)


class _Known(NamedTuple):
    """What was found out for one instance, and from which records."""

    instance: ContainerInstance
    node: Node
    matches: frozenset[str]


@dataclass(slots=True)
class _Answers:
    """What was found out for one service."""

    #: What the service's record says about it; other answers hold for other records.
    fingerprint: tuple[object, ...]
    needs: tuple[_Needs, ...]
    by_instance: dict[str, _Known] = field(default_factory=dict)
    #: The last answer as a whole, as long as it lasts: until the cluster's number changes.
    whole: tuple[DaemonInstance, ...] = ()
    number: int = -1


class DaemonInstances:
    """Looks instances up for DAEMON services."""

    def __init__(self, state: State) -> None:
        self._state = state
        #: Service → container instance → until when not to try again.
        self._refused: dict[str, dict[str, float]] = {}
        #: Service → what its deployments need and the answers for instances.
        self._known: dict[str, _Answers] = {}
        #: Cluster → how often one of its instances, or their nodes, changed.
        self._changes: Counter[str] = Counter()
        # As watchers of the tables these see changes that are undone, too.
        state.container_instances.watch(self._instance_replaced)
        state.nodes.watch(self._node_replaced)

    def of(self, service: Service, now: float) -> tuple[DaemonInstance, ...]:
        """The instances of the service's cluster that are ACTIVE or DRAINING."""
        if service.scheduling_strategy != "DAEMON":
            return ()
        answers = self._answers(service)
        number = self._changes[service.cluster_arn]
        if answers.number == number:
            return answers.whole
        dynamic = any(need.dynamic for need in answers.needs)
        found = []
        known: dict[str, _Known] = {}
        lasting = not dynamic
        refusals = self._refused.get(service.arn, {})
        for instance in self._state.container_instances.by("cluster", service.cluster_arn):
            node = self._state.nodes.get(instance.node_id)
            if node is None or instance.status == "INACTIVE":
                continue
            answer = answers.by_instance.get(instance.arn)
            if dynamic or answer is None or answer.instance is not instance or answer.node is not node:
                facts = self._facts(service, instance, node)
                matches = frozenset(need.deployment_id for need in answers.needs if need.met_by(facts))
                answer = _Known(instance, node, matches)
            known[instance.arn] = answer
            active = instance.status == "ACTIVE"
            refused = bool(refusals) and refusals.get(instance.arn, 0.0) > now
            lasting = lasting and active and not refused
            found.append(
                DaemonInstance(
                    instance.arn,
                    active,
                    node.agent_connected,
                    answer.matches,
                    not active and self._occupied(instance),
                    refused,
                )
            )
        answers.whole, answers.by_instance = tuple(found), known
        answers.number = number if lasting else -1
        return answers.whole

    def refuse(self, service: Service, instance_arns: Iterable[str], now: float) -> None:
        """These instances had no room for a task of the service."""
        refused = dict.fromkeys(instance_arns, now + REFUSAL_LASTS)
        if refused:
            self._refused.setdefault(service.arn, {}).update(refused)
            self._answers(service).number = -1

    def try_again_at(self, service: Service, now: float) -> float | None:
        """When the first refusal is over (epoch seconds) that keeps an instance without a task."""
        refused = self._refused.get(service.arn)
        return min((until for until in refused.values() if until > now), default=None) if refused else None

    def forget(self, service_arn: str) -> None:
        """The service is gone."""
        self._known.pop(service_arn, None)
        self._refused.pop(service_arn, None)

    # Whom changes wake.

    def instance_changed(self, notice: Notice) -> Iterable[str]:
        """Services that a change of a container instance concerns."""
        old: ContainerInstance | None = notice.old
        new: ContainerInstance | None = notice.new
        instance = new or old
        if instance is None or (
            old is not None and new is not None and old.status == new.status and old.attributes == new.attributes
        ):
            return ()
        services = self._daemons(instance.cluster_arn)
        for arn in services:
            self._forgive(arn, notice.key)
        return services

    def node_changed(self, notice: Notice) -> Iterable[str]:
        """Services that a change of a node concerns."""
        keys: list[str] = []
        for instance in self._state.container_instances.by("node", notice.key):
            services = self._daemons(instance.cluster_arn)
            for arn in services:
                self._forgive(arn, instance.arn)
            keys += services
        return keys

    def task_changed(self, old: Task | None, new: Task | None) -> Iterable[str]:
        """Services that the end of somebody's task concerns."""
        if old is None or old.stopped or (new is not None and not new.stopped):
            return ()
        keys: list[str] = []
        if self._refused and old.node_id is not None:
            for instance in self._state.container_instances.by("node", old.node_id):
                services = self._daemons(instance.cluster_arn)
                keys += [arn for arn in services if self._forgive(arn, instance.arn)]
        instance_arn = old.container_instance_arn
        there = self._state.container_instances.get(instance_arn) if instance_arn else None
        if there is not None and there.status == "DRAINING":
            keys += self._daemons(there.cluster_arn)
        return keys

    def _forgive(self, service_arn: str, instance_arn: str) -> bool:
        """Something changed on the instance; whether it had refused the service."""
        refused = self._refused.get(service_arn)
        if refused is None or refused.pop(instance_arn, None) is None:
            return False
        if not refused:
            del self._refused[service_arn]
        return True

    def _daemons(self, cluster_arn: str) -> list[str]:
        return [service.arn for service in self._state.services.by("daemons", cluster_arn)]

    def _occupied(self, instance: ContainerInstance) -> bool:
        """Whether live tasks of others than DAEMON services are on the instance."""
        for task in self._state.tasks.by("container_instance", instance.arn):
            if task.stopped:
                continue
            service = self._state.services.get(task.service_arn) if task.service_arn else None
            if service is None or service.scheduling_strategy != "DAEMON":
                return True
        return False

    def _facts(self, service: Service, instance: ContainerInstance, node: Node) -> cluster_query.InstanceFacts:
        counts = self._state.usage.instance(instance.arn)
        group = f"service:{service.name}"
        own = [
            task
            for task in self._state.tasks.by("container_instance", instance.arn)
            if task.service_arn == service.arn and task.last_status == "RUNNING"
        ]
        return cluster_query.InstanceFacts(
            agent_connected=node.agent_connected,
            agent_version=(node.version_info.agent_version or "") if node.version_info else "",
            ec2_instance_id=instance.ec2_instance_id or "",
            registered_at=instance.registered_at,
            running_tasks_count=counts.running - len(own),
            attributes={a.name: a.value or "" for a in instance.attributes},
            task_groups=frozenset(counts.groups) - {group},
        )

    def _answers(self, service: Service) -> _Answers:
        deployments = tuple((d.id, d.task_definition_arn, d.launch_type) for d in service.deployments)
        fingerprint = (deployments, service.placement_constraints)
        answers = self._known.get(service.arn)
        if answers is None or answers.fingerprint != fingerprint:
            needs = tuple(need for d in service.deployments if (need := self._need(service, d)) is not None)
            answers = self._known[service.arn] = _Answers(fingerprint, needs)
        return answers

    def _instance_replaced(self, old: ContainerInstance | None, new: ContainerInstance | None) -> None:
        instance = new or old
        if instance is not None:
            self._changes[instance.cluster_arn] += 1

    def _node_replaced(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        if node is not None:
            for instance in self._state.container_instances.by("node", node.id):
                self._changes[instance.cluster_arn] += 1

    def _need(self, service: Service, deployment: Deployment) -> _Needs | None:
        definition = self._state.task_definitions.get(deployment.task_definition_arn)
        if definition is None:
            return None
        shape = definition.definition
        constraints = [(c.type, c.expression) for c in service.placement_constraints]
        constraints += [(c.type, c.expression) for c in shape.placement_constraints or ()]
        architecture = shape.runtime_platform.cpu_architecture if shape.runtime_platform else None
        return _Needs(
            deployment.id,
            deployment.launch_type,
            required_attributes(shape, None) | (frozenset({SERVICE_CONNECT}) if deployment.connect else frozenset()),
            architecture.lower() if architecture else None,
            tuple(cluster_query.parse(text or "") for kind, text in constraints if kind == "memberOf"),
        )
