"""Ends container instances that their node's owner took back, once their last task has ended.

Every such instance is a key of a ``Loop``: it is DRAINING from the moment in which it was taken
back (``api.ecs.draining``) and becomes INACTIVE here.  Instances that a caller drains are the
caller's business and stay DRAINING.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog

from openecs.control.loop import Done, Loop, Result, Timing
from openecs.model.node import ContainerInstance
from openecs.model.task import Task
from openecs.state.state import State
from openecs.state.store import Notice

logger = structlog.get_logger("openecs.control")


class ReturnedInstances:
    """Deregisters instances that were taken back and are empty."""

    def __init__(self, state: State) -> None:
        self._state = state

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs this, woken by the end of tasks."""
        loop = Loop("returned-instances", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "task", _ended_on)
        loop.watch(self._state.store, "container_instance", lambda n: (n.key,) if _returning(n.new) else ())
        return loop

    def reconcile(self, key: str) -> Result:
        """Deregister one instance if nothing runs on it any more."""
        instance = self._state.container_instances.get(key)
        if instance is None or not _returning(instance):
            return Done()
        if any(not task.stopped for task in self._state.tasks.by("container_instance", key)):
            return Done()
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(instance, status="INACTIVE", version=instance.version + 1))
        logger.info("instance.returned", instance=key, node=instance.node_id)
        return Done()

    def _all(self) -> Iterable[str]:
        return [instance.arn for instance in self._state.container_instances if _returning(instance)]


def _returning(instance: ContainerInstance | None) -> bool:
    return instance is not None and instance.taken_back and instance.status == "DRAINING"


def _ended_on(notice: Notice) -> Iterable[str]:
    old: Task | None = notice.old
    new: Task | None = notice.new
    if old is None or old.stopped or old.container_instance_arn is None or (new is not None and not new.stopped):
        return ()
    return (old.container_instance_arn,)
