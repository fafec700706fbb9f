"""Managed scaling of capacity providers: keys are those of providers.

More machines are asked for as soon as tasks wait for them; fewer when there have been too many for
a quarter of an hour, and then only empty ones go.  The measure is published every minute as AWS's
CapacityProviderReservation.  Whoever starts and stops machines is ``control.groups``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import structlog

from openecs.clock import Clock
from openecs.control.group_machines import GroupMachines
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.metrics.metric import Datum, MetricKey, dimensions, single
from openecs.model.auto_scaling_group import AutoScalingGroup, instance_of
from openecs.model.capacity_provider import GROUP_ATTRIBUTE, CapacityProvider
from openecs.model.node import ContainerInstance
from openecs.model.task import Task
from openecs.planning import managed_scaling as measure
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")

PUBLISH_EVERY = 60.0
NAMESPACE = "AWS/ECS/ManagedScaling"


class ManagedScaling:
    """Sets the desired capacity of the groups of capacity providers whose scaling is managed."""

    def __init__(self, state: State, clock: Clock, publish: Callable[[Iterable[Datum]], None]) -> None:
        self._state = state
        self._clock = clock
        self._publish = publish
        self._machines = GroupMachines(state)
        #: Provider → since when it has had too many machines.
        self._surplus: dict[str, float] = {}
        #: Provider → the minute, counted since the epoch, that was published last.
        self._published: dict[str, float] = {}

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("managed-scaling", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "capacity_provider", lambda n: (n.key,))
        loop.watch(store, "auto_scaling_group", lambda _: self._all())
        loop.watch(store, "group_instance", lambda _: self._all())
        loop.watch(store, "task", self._task_changed)
        return loop

    def reconcile(self, key: str) -> Result:
        """Look at one provider."""
        provider = self._state.capacity_providers.get(key)
        group = self._group(provider) if provider is not None else None
        if provider is None or group is None or not managed(provider):
            self._surplus.pop(key, None)
            self._published.pop(key, None)
            return Done()
        now = self._clock.now()
        counted = self._count(provider, group)
        self._tell(provider, counted, now)
        self._protect(provider, group)
        settings = provider.auto_scaling_group_provider.managed_scaling
        assert settings is not None  # noqa: S101 -- managed() has looked
        # By the machines that the group is to have: those that are on their way count already.
        goal = measure.wanted(settings, counted.needed, counted.machines)
        if goal < counted.machines:
            since = self._surplus.setdefault(key, now)
            if now - since < measure.SCALE_IN_AFTER:
                return After(min(_to_next_minute(now), since + measure.SCALE_IN_AFTER - now))
            # Those that are empty, no more.
            goal = max(goal, counted.machines - counted.empty)
        self._surplus.pop(key, None)
        self._set(group, goal - counted.foreign)
        return After(_to_next_minute(now))

    def _count(self, provider: CapacityProvider, group: AutoScalingGroup) -> _Count:
        """Machines that there are or will be, that are needed, and that are empty."""
        instances = [one for one in self._members(provider) if one.status == "ACTIVE"]
        nodes = {node.id: node for one in instances if (node := self._state.nodes.get(one.node_id)) is not None}
        foreign = sum(instance_of(node.owner) is None for node in nodes.values())
        busy = sum(bool(self._machines.tasks(node)) for node in nodes.values())
        size = measure.largest([node.capacity for node in nodes.values()])
        waiting = [
            task.reservation
            for cluster in self._clusters(provider)
            for task in self._state.tasks.by("unplaced", cluster)
            if task.capacity_provider_name == provider.name
        ]
        return _Count(
            machines=foreign + group.desired,
            foreign=foreign,
            needed=busy + measure.machines_for(waiting, size),
            empty=len(nodes) - busy,
        )

    def _tell(self, provider: CapacityProvider, counted: _Count, now: float) -> None:
        # By the clock's minutes, so that none is left out whatever else wakes this.
        minute = now // PUBLISH_EVERY
        if self._published.get(provider.arn) == minute:
            return
        self._published[provider.arn] = minute
        value = measure.reservation(counted.needed, counted.machines)
        self._publish(
            single(
                MetricKey(
                    provider.region,
                    NAMESPACE,
                    "CapacityProviderReservation",
                    dimensions({"CapacityProviderName": provider.name, "ClusterName": cluster.rpartition("/")[2]}),
                ),
                now,
                value,
                "Percent",
            )
            for cluster in self._clusters(provider)
        )

    def _protect(self, provider: CapacityProvider, group: AutoScalingGroup) -> None:
        """With managed termination protection, machines with tasks are protected and others are not."""
        if provider.auto_scaling_group_provider.managed_termination_protection != "ENABLED":
            return
        nodes = self._machines.nodes()
        changed = []
        for instance in self._machines.instances(group):
            node = nodes.get(instance.id)
            busy = node is not None and bool(self._machines.tasks(node))
            if instance.state == "InService" and instance.protected != busy:
                changed.append(msgspec.structs.replace(instance, protected=busy))
        if changed:
            with self._state.transaction() as tx:
                for instance in changed:
                    tx.put(instance)

    def _set(self, group: AutoScalingGroup, desired: int) -> None:
        desired = max(min(desired, group.max_size), group.min_size)
        if desired != group.desired and not group.deleting:
            logger.info("group.scaled", group=group.name, old=group.desired, new=desired)
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(group, desired=desired))

    def _group(self, provider: CapacityProvider) -> AutoScalingGroup | None:
        groups = self._state.auto_scaling_groups.by("region", provider.region)
        return next((group for group in groups if group.name == provider.group_name), None)

    def _clusters(self, provider: CapacityProvider) -> list[str]:
        return [
            cluster.arn
            for cluster in self._state.clusters
            if cluster.region == provider.region
            and cluster.status == "ACTIVE"
            and provider.name in cluster.capacity_providers
        ]

    def _members(self, provider: CapacityProvider) -> Iterable[ContainerInstance]:
        """The container instances of the provider's clusters whose machines joined under its group's name."""
        for cluster in self._clusters(provider):
            for instance in self._state.container_instances.by("cluster", cluster):
                if any(a.name == GROUP_ATTRIBUTE and a.value == provider.group_name for a in instance.attributes):
                    yield instance

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        """A task of a provider that began or ceased to wait, came to a machine, or ended."""
        old, new = notice.old, notice.new
        task = new or old
        if task.capacity_provider_name is None:
            return ()
        if old is not None and new is not None and _place(old) == _place(new):
            return ()
        return [
            provider.arn
            for provider in self._state.capacity_providers.by("region", task.region)
            if provider.name == task.capacity_provider_name and managed(provider)
        ]

    def _all(self) -> Iterable[str]:
        return [provider.arn for provider in self._state.capacity_providers if managed(provider)]


class _Count(msgspec.Struct, frozen=True):
    #: Those of the group, and those that joined under its name by themselves.
    machines: int
    foreign: int
    needed: int
    empty: int


def _place(task: Task) -> tuple[object, ...]:
    return task.node_id, task.stopped, task.waiting is None


def managed(provider: CapacityProvider) -> bool:
    """Whether OpenECS decides how many machines the provider's group has."""
    scaling = provider.auto_scaling_group_provider.managed_scaling
    return provider.status == "ACTIVE" and scaling is not None and scaling.status == "ENABLED"


def _to_next_minute(now: float) -> float:
    """Seconds; a little more than none, for the loop's time is not the clock's."""
    return max(PUBLISH_EVERY - now % PUBLISH_EVERY, 0.1)
