"""Auto Scaling groups at work: keys are those of groups.

Each turn compares the machines that a group shall have with those that it has
(``planning.group_plan``), writes what was decided, and only then asks the provisioner.  What the
provisioner was asked for and did not confirm is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import structlog

from openecs.clock import Clock
from openecs.control.group_machines import GroupMachines, connected
from openecs.control.group_records import finish, new_activity, retire
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.provisioner import Order, Provisioner
from openecs.errors import Retryable
from openecs.ids import Ids
from openecs.model import task_state
from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance, instance_of
from openecs.model.node import Node
from openecs.planning.group_plan import JOIN_WITHIN, plan
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

logger = structlog.get_logger("openecs.control")

#: Seconds after which a machine is ended although tasks still run on it, as on AWS.
DRAIN_FOR = 48 * 3600.0
MAX_ACTIVITIES = 100
#: Seconds between two looks at what machines exist.
CHECK_EVERY = 55.0

NO_PROVISIONER = (
    "OpenECS was started without a provisioner, so it cannot start machines: give openecs up --provisioner PROGRAM."
)


class MachineKeys:
    """Makes and ends the keys of machines' agents (injected: the key ring is the server's)."""

    def __init__(self, make: Callable[[str], tuple[str, str]], revoke: Callable[[str], None]) -> None:
        self.make = make
        self.revoke = revoke


class GroupController:
    """Makes groups have as many machines as they shall have."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        ids: Ids,
        provisioner: Provisioner | None,
        keys: MachineKeys,
        endpoint: str,
    ) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        self._provisioner = provisioner
        self._keys = keys
        self._endpoint = endpoint
        self._machines = GroupMachines(state)
        #: Group → when the provisioner was last asked what exists.
        self._checked: dict[str, float] = {}

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("groups", self.reconcile, timing, resync=self._all, resync_every=60.0)
        store = self._state.store
        loop.watch(store, "auto_scaling_group", lambda n: (n.key,))
        loop.watch(store, "group_instance", lambda n: ((n.new or n.old).group_arn,))
        loop.watch(store, "node", self._node_changed)
        loop.watch(store, "container_instance", self._membership_changed)
        loop.watch(store, "task", self._task_changed)
        return loop

    async def reconcile(self, key: str) -> Result:
        """Bring one group closer to what it shall be."""
        group = self._state.auto_scaling_groups.get(key)
        if group is None:
            return Done()
        now = self._clock.now()
        nodes = self._machines.nodes()
        instances = self._machines.instances(group)
        tasks = {one.id: len(self._machines.tasks(nodes[one.id])) for one in instances if one.id in nodes}
        todo = plan(group, instances, tasks, now)
        with self._state.transaction() as tx:
            for instance in instances:
                self._observe(tx, instance, nodes.get(instance.id))
            for end in todo.ends:
                retire(self._state, tx, group, end.instance, end.cause, ids=self._ids, now=now)
            for launch in todo.launches:
                self._decide(tx, group, launch.zone, launch.cause, now)
            self._prune(tx, group)
            if group.deleting and not instances:
                tx.delete(group)
                return Done()
        await self._state.store.durable()
        return await self._carry_out(group, nodes)

    async def _carry_out(self, group: AutoScalingGroup, nodes: dict[str, Node]) -> Result:
        """Ask the provisioner for what is decided; look again when a machine has not joined in time."""
        now = self._clock.now()
        await self._check(group, now)
        instances = self._machines.instances(group)
        # Beside each other: a program may take minutes for a machine.
        async with asyncio.TaskGroup() as calls:
            asked = [calls.create_task(self._ask(group, one, nodes.get(one.id), now)) for one in instances]
        problems = [problem for task in asked if (problem := task.result())]
        waits = [
            one.created_at + JOIN_WITHIN - now
            if one.terminating_since is None
            else one.terminating_since + DRAIN_FOR - now
            for one in instances
            if one.state != "InService"
        ]
        if problems:
            raise Retryable(problems[0])
        return After(max(min(waits), 1.0)) if waits else Done()

    async def _ask(self, group: AutoScalingGroup, instance: GroupInstance, node: Node | None, now: float) -> str:
        """Have one machine started or ended, if it is to be; what went wrong, or nothing."""
        try:
            if instance.state == "Pending" and not instance.started:
                await self._start(group, instance)
            elif instance.state == "Terminating":
                await self._end(group, instance, node, now)
        except Retryable as problem:
            self._tell(instance, str(problem))
            return str(problem)
        return ""

    async def _check(self, group: AutoScalingGroup, now: float) -> None:
        """Machines that the provisioner knows no more are unhealthy: they will be replaced."""
        old = [
            one for one in self._machines.instances(group) if one.started and one.healthy and one.state != "Terminating"
        ]
        if self._provisioner is None or not old or now - self._checked.get(group.arn, 0.0) < CHECK_EVERY:
            return
        known = await self._provisioner.machines()
        self._checked[group.arn] = now
        gone = [
            current
            for one in old
            if one.id not in known and (current := self._state.group_instances.get(one.id)) is not None
        ]
        if gone:
            with self._state.transaction() as tx:
                for one in gone:
                    tx.put(msgspec.structs.replace(one, healthy=False))

    async def _start(self, group: AutoScalingGroup, instance: GroupInstance) -> None:
        if self._provisioner is None:
            raise Retryable(NO_PROVISIONER)
        key_id, secret = self._keys.make(instance.session)
        await self._state.store.durable()
        data = self._machines.launch_data(group)
        await self._provisioner.start(
            Order(
                instance_id=instance.id,
                group=group.name,
                region=group.region,
                availability_zone=instance.zone,
                cluster=self._machines.cluster(group, data),
                instance_type=(data.instance_type if data is not None else None) or "",
                image_id=(data.image_id if data is not None else None) or "",
                user_data=(data.user_data if data is not None else None) or "",
                tags={tag.key or "": tag.value or "" for tag in group.tags if tag.propagate_at_launch},
                endpoint=self._endpoint,
                access_key_id=key_id,
                secret_key=secret,
            )
        )
        logger.info("machine.started", group=group.name, machine=instance.id)
        current = self._state.group_instances.get(instance.id)
        if current is not None:
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(current, started=True))

    async def _end(self, group: AutoScalingGroup, instance: GroupInstance, node: Node | None, now: float) -> None:
        """Empty a machine if its group asks for that, end it, and forget it."""
        if node is not None and self._machines.drains(group):
            drained_by = (instance.terminating_since or now) + DRAIN_FOR
            self._drain(node)
            if node.agent_connected and now < drained_by and self._machines.tasks(node):
                return
        if self._provisioner is not None:
            order = Order(
                instance_id=instance.id, group=group.name, region=group.region, availability_zone=instance.zone
            )
            await self._provisioner.stop(order)
        elif instance.started:
            raise Retryable(NO_PROVISIONER)
        logger.info("machine.ended", group=group.name, machine=instance.id)
        self._keys.revoke(instance.session)
        with self._state.transaction() as tx:
            if node is not None:
                self._forget(tx, instance, node, now)
            finish(self._state, tx, instance, "Successful", now=self._clock.now())
            tx.delete(instance)

    def _forget(self, tx: Transaction, instance: GroupInstance, node: Node, now: float) -> None:
        """A machine that has ended serves nobody any more, and nothing runs on it."""
        for membership in self._machines.memberships(node):
            tx.put(msgspec.structs.replace(membership, status="INACTIVE", version=membership.version + 1))
        tx.put(msgspec.structs.replace(node, fargate_pool=False, lent_to=()))
        reason = f"Host EC2 (instance {instance.id}) terminated."
        for task in self._state.tasks.by("live_on_node", node.id):
            tx.put(task_state.declare_stopped(task, now=now, stop_code="TerminationNotice", reason=reason))

    def _drain(self, node: Node) -> None:
        active = [one for one in self._machines.memberships(node) if one.status == "ACTIVE"]
        if active:
            with self._state.transaction() as tx:
                for one in active:
                    tx.put(msgspec.structs.replace(one, status="DRAINING", version=one.version + 1))

    def _observe(self, tx: Transaction, instance: GroupInstance, node: Node | None) -> None:
        """A machine is in service when its agent has joined."""
        if instance.state == "Pending" and node is not None and connected(self._machines.memberships(node), node):
            finish(self._state, tx, instance, "Successful", now=self._clock.now())
            tx.put(msgspec.structs.replace(instance, state="InService", activity_id=""))

    def _decide(self, tx: Transaction, group: AutoScalingGroup, zone: str, cause: str, now: float) -> None:
        name = f"i-{self._ids.hex32()[:17]}"
        told = new_activity(group, f"Launching a new EC2 instance: {name}", cause, ids=self._ids, now=now)
        tx.put(told)
        tx.put(
            GroupInstance(
                id=name,
                group_arn=group.arn,
                region=group.region,
                zone=zone,
                created_at=now,
                protected=group.protect_new_instances,
                activity_id=told.id,
            )
        )

    def _tell(self, instance: GroupInstance, problem: str) -> None:
        """Show in the activity why it does not go on."""
        activity = self._state.group_activities.get(instance.activity_id)
        if activity is not None and activity.ended_at is None and activity.message != problem:
            with self._state.transaction() as tx:
                tx.put(msgspec.structs.replace(activity, message=problem))

    def _prune(self, tx: Transaction, group: AutoScalingGroup) -> None:
        ended = [a for a in self._state.group_activities.by("group", group.arn) if a.ended_at is not None]
        for activity in sorted(ended, key=lambda a: a.started_at)[:-MAX_ACTIVITIES]:
            tx.delete(activity)

    def _node_changed(self, notice: Notice) -> Iterable[str]:
        return self._groups_of(notice.new or notice.old)

    def _membership_changed(self, notice: Notice) -> Iterable[str]:
        return self._groups_of(self._state.nodes.get((notice.new or notice.old).node_id))

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        """The end of a task may be what a machine waits for that is to end."""
        task = notice.new
        if task is not None and task.stopped and task.node_id is not None:
            return self._groups_of(self._state.nodes.get(task.node_id))
        return ()

    def _groups_of(self, node: Node | None) -> Iterable[str]:
        name = instance_of(node.owner) if node is not None else None
        instance = self._state.group_instances.get(name) if name is not None else None
        return (instance.group_arn,) if instance is not None else ()

    def _all(self) -> Iterable[str]:
        return [group.arn for group in self._state.auto_scaling_groups]
