"""Forgets targets that were deregistered, when their draining is over.

A draining target goes when every host of its load balancer says that nothing is in flight to it
any more, or when the group's deregistration delay is over, or at once when no load balancer uses
its group.  Its health goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.clock import Clock
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.target_lookup import TargetLookup
from openecs.planning.target_state import drained, forget_at
from openecs.state.state import State
from openecs.state.store import Notice


class DrainingTargets:
    """Keys are keys of targets."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._lookup = TargetLookup(state)

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("draining-targets", self.reconcile, timing, resync=self._all)
        store = self._state.store
        loop.watch(store, "target", lambda n: (n.key,) if n.new is None or n.new.draining_since is not None else ())
        loop.watch(store, "target_health", self._health_changed)
        # Rarely: settings change, and load balancers go, while targets drain.
        for table in ("target_group", "listener", "listener_rule", "load_balancer"):
            loop.watch(store, table, lambda _: self._all())
        return loop

    def reconcile(self, key: str) -> Result:
        """Forget one target if nothing is in flight to it any more."""
        state = self._state
        target = state.targets.get(key)
        health = state.target_health.get(key)
        if target is None:
            if health is not None:
                with state.transaction() as tx:
                    tx.delete(health)
            return Done()
        if target.draining_since is None:
            return Done()
        group = target.target_group_arn
        left = forget_at(target, self._lookup.deregistration_delay(group)) - self._clock.now()
        in_use = state.balancer_usage.load_balancer(group) is not None
        if in_use and left > 0 and not drained(health, self._lookup.hosts(group)):
            return After(left)
        with state.transaction() as tx:
            tx.delete(target)
            if health is not None:
                tx.delete(health)
        return Done()

    def _health_changed(self, notice: Notice) -> Iterable[str]:
        target = self._state.targets.get(notice.key)
        return (notice.key,) if target is not None and target.draining_since is not None else ()

    def _all(self) -> Iterable[str]:
        return [target.key for target in self._state.targets if target.draining_since is not None]
