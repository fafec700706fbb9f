"""Places tasks that wait for capacity of their capacity provider, as soon as there is some.

Keys are clusters.  A task of an Auto Scaling group provider that found no node is PROVISIONING
without one (``model.task.Waiting``); this loop finds it one, oldest first, when a machine joins
or changes or something on it ends.  A machine without the room for the smallest of them wakes
nobody; the others are remembered until the cluster's turn comes, and only kinds of tasks that
they have room for are tried.  So what happens in a full cluster costs next to nothing, however
many machines and waiting tasks it has.  All this is only a hint: after a start, and now and
then, everything is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.node_room import has_room
from openecs.errors import Retryable
from openecs.ids import Ids
from openecs.model.task import Task
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

logger = structlog.get_logger("openecs.control")

#: Tasks that one step places at most; then others get their turn.
MAX_PLACED = 100


class Places(Protocol):
    """What this needs of ``openecs.control.launch.Launcher``."""

    def paused(self, now: float) -> bool: ...

    def place_waiting(self, tx: Transaction, tasks: Sequence[Task], *, ids: Ids) -> int: ...


class Provisioning:
    """Gives nodes to waiting tasks.  Keys are cluster ARNs."""

    def __init__(self, state: State, launcher: Places, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._launcher = launcher
        self._clock = clock
        self._ids = ids
        #: Cluster → nodes that changed since its last turn; no entry: look at all of them.
        self._changed: dict[str, set[str]] = {}
        #: Cluster → the least CPU and memory that any of its waiting tasks needs, or less.
        self._least: dict[str, tuple[int, int]] = {}
        #: Waiting task → its kind.
        self._kinds: dict[str, bytes] = {}

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs this, woken by what may make room for a waiting task."""
        loop = Loop("provisioning", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "task", self._task_changed)
        loop.watch(store, "container_instance", lambda n: self._note(n.new.node_id) if n.new else ())
        loop.watch(store, "node", lambda n: self._note(n.key) if n.new else ())
        return loop

    def reconcile(self, key: str) -> Result:
        """Place what fits of one cluster's waiting tasks."""
        now = self._clock.now()
        if self._launcher.paused(now):
            raise Retryable("the installation is being shut down")
        waiting = sorted(self._state.tasks.by("unplaced", key), key=lambda task: task.created_at)
        # What changes from here on, be it by what is placed now, is for the next turn.
        changed = self._changed.pop(key, None)
        if not waiting:
            return Done()
        placed = self._place(waiting, changed, before_commit=lambda: self._changed.setdefault(key, set()))
        if placed:
            logger.info("provisioning.placed", cluster=key, placed=placed, waiting=len(waiting) - placed)
        if placed < MAX_PLACED:
            return Done()
        if changed is None:
            self._changed.pop(key, None)
        else:
            self._changed[key] |= changed
        return After(0.0)

    def _place(self, waiting: list[Task], changed: set[str] | None, before_commit: Callable[[], object]) -> int:
        """Place the first of the waiting tasks that fit; how many did."""
        placed = 0
        #: Kinds of tasks that find no node any more.
        closed: set[bytes] = set()
        with self._state.transaction() as tx:
            for kind, alike in itertools.groupby((task for task in waiting if task.waiting), self._kind):
                tasks = list(itertools.islice(alike, MAX_PLACED - placed))
                if not tasks:
                    break
                if kind in closed or (changed is not None and not self._may_fit(tasks[0], changed)):
                    continue
                found = self._launcher.place_waiting(tx, tasks, ids=self._ids)
                placed += found
                if found < len(tasks):
                    closed.add(kind)
            before_commit()
        return placed

    def _may_fit(self, task: Task, nodes: Iterable[str]) -> bool:
        """Whether one of these nodes has the CPU and memory; the rest is for placement to say."""
        needs = task.reservation
        return any(has_room(self._state, node_id, needs.cpu, needs.memory) for node_id in nodes)

    def _note(self, node_id: str) -> Iterable[str]:
        """The clusters with waiting tasks for which this node, which has changed, may have room."""
        if not self._state.tasks.values("unplaced"):
            return ()
        clusters = []
        for instance in self._state.container_instances.by("node", node_id):
            cluster = instance.cluster_arn
            if self._state.tasks.count("unplaced", cluster) and has_room(self._state, node_id, *self._needed(cluster)):
                clusters.append(cluster)
                changed = self._changed.get(cluster)
                if changed is not None:
                    changed.add(node_id)
        return clusters

    def _needed(self, cluster: str) -> tuple[int, int]:
        """CPU units and MiB without which no waiting task of a cluster fits.

        It is found again when tasks begin to wait; when some have ended, the old amounts are
        too small at worst.
        """
        needed = self._least.get(cluster)
        if needed is None:
            wanted = [task.reservation for task in self._state.tasks.by("unplaced", cluster)]
            needed = min(one.cpu for one in wanted), min(one.memory for one in wanted)
            self._least[cluster] = needed
        return needed

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        """A task that ended made room; one that was placed may be whom another wants to be near."""
        old: Task | None = notice.old
        new: Task | None = notice.new
        if new is not None and new.waiting is not None:
            self._least.pop(new.cluster_arn, None)
        elif old is not None and old.waiting is not None:
            self._kinds.pop(old.arn, None)
        before = old.node_id if old is not None and not old.stopped else None
        after = new.node_id if new is not None and not new.stopped else None
        node_id = before or after
        return self._note(node_id) if node_id is not None and before != after else ()

    def _all(self) -> Iterable[str]:
        self._changed.clear()
        return [str(cluster) for cluster in self._state.tasks.values("unplaced")]

    def _kind(self, task: Task) -> bytes:
        """The same for tasks that placement cannot tell apart."""
        kind = self._kinds.get(task.arn)
        if kind is None:
            kind = self._kinds[task.arn] = msgspec.json.encode(
                (
                    task.task_definition_arn,
                    task.capacity_provider_name,
                    task.launch_type,
                    task.group,
                    task.reservation,
                    task.overrides,
                    task.waiting,
                )
            )
        return kind
