"""Probes all targets of this host's load balancers, each at its pace, and keeps their health.

One small task per target.  What should be probed is given as a whole (``aim``), again and again;
``changed`` is called with the ARN of a target group whenever a state of its targets changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from openecs.acs.host_documents import TargetGroupDocument, TargetView
from openecs.agent.edge import probe
from openecs.agent.edge.health import Health, after, draining_view, pause, unprobed_view, view
from openecs.agent.edge.memory import Book
from openecs.agent.edge.routing import Target
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.clock import Clock


class Aim(NamedTuple):
    """A target group, and the namespace from which its targets are probed; ``None`` until that is there."""

    group: TargetGroupDocument
    namespace: Path | None


class _Watched:
    """One target that is being probed."""

    def __init__(self) -> None:
        #: Set when how it is probed has changed.
        self.again = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Prober:
    """``random`` gives numbers from 0 to 1: probes are spread over time."""

    def __init__(
        self, sockets: NamespaceSockets, clock: Clock, random: Callable[[], float], changed: Callable[[str], None]
    ) -> None:
        self._sockets = sockets
        self._clock = clock
        self._random = random
        self._changed = changed
        self._aims: dict[str, Aim] = {}
        self._book: dict[str, dict[Target, Health]] = {}
        self._watched: dict[tuple[str, Target], _Watched] = {}

    def remember(self, book: Book) -> None:
        """Begin with what an earlier agent knew."""
        for arn, targets in book.items():
            self._book[arn] = {_target(key): health for key, health in targets.items()}

    def book(self) -> Book:
        """The health of all targets, for the next agent."""
        return {
            arn: {f"{target_id}|{port}": health for (target_id, port), health in targets.items()}
            for arn, targets in self._book.items()
            if arn in self._aims
        }

    def aim(self, aims: Mapping[str, Aim], tasks: asyncio.TaskGroup) -> None:
        """Probe exactly these target groups' targets from now on."""
        before, self._aims = self._aims, dict(aims)
        wanted: set[tuple[str, Target]] = set()
        other: set[tuple[str, Target]] = set()
        for arn, aim in aims.items():
            other.update((arn, target) for target in _changed(before.get(arn), aim))
            known, current = self._book.get(arn, {}), {}
            for entry in aim.group.targets:
                if not entry.address or entry.draining_since is not None:
                    # Whoever comes back is new.
                    continue
                target = (entry.id, entry.port)
                health = known.get(target)
                if health is None or health.registered_at != entry.registered_at:
                    health = Health(registered_at=entry.registered_at)
                current[target] = health
                if aim.namespace is not None and aim.group.health_check.enabled:
                    wanted.add((arn, target))
            self._book[arn] = current
        for arn in self._book.keys() - aims.keys():
            del self._book[arn]
        for key in self._watched.keys() - wanted:
            watched = self._watched.pop(key)
            if watched.task is not None:
                watched.task.cancel()
        for key in wanted:
            if key not in self._watched:
                watched = self._watched[key] = _Watched()
                watched.task = tasks.create_task(self._watch(key, watched))
            elif key in other:
                self._watched[key].again.set()

    def health(self, arn: str) -> Mapping[Target, Health]:
        """The health of a group's targets that are not draining."""
        return self._book[arn]

    def views(self, arn: str, drained: frozenset[Target]) -> dict[Target, TargetView]:
        """What is to be said of a group's targets; of those without an address nothing is known here."""
        aim = self._aims[arn]
        book = self._book[arn]
        shown: dict[Target, TargetView] = {}
        for entry in aim.group.targets:
            target = (entry.id, entry.port)
            if entry.draining_since is not None:
                shown[target] = draining_view(*target, drained=target in drained)
            elif not entry.address:
                continue
            elif not aim.group.health_check.enabled:
                shown[target] = unprobed_view(*target)
            else:
                shown[target] = view(book[target], *target, probed=aim.namespace is not None)
        return shown

    async def _watch(self, key: tuple[str, Target], watched: _Watched) -> None:
        arn, target = key
        loop = asyncio.get_running_loop()
        health = self._book[arn][target]
        if health.state != "initial":
            # Known from an earlier agent: not everything is probed at its successor's start.
            aim = self._aims[arn]
            await asyncio.sleep(
                self._random() * min(pause(health, aim.group.health_check, fast=aim.group.fast_probes), 5.0)
            )
        while True:
            watched.again.clear()
            aim = self._aims[arn]
            entry = next(entry for entry in aim.group.targets if (entry.id, entry.port) == target)
            started, started_at = loop.time(), self._clock.now()
            outcome = await probe.run(probe.probe_of(aim.group, entry), self._sockets, aim.namespace)
            aim = self._aims[arn]
            check, fast = aim.group.health_check, aim.group.fast_probes
            health = self._book[arn][target]
            if not watched.again.is_set():
                # An outcome of other settings, or of an earlier registration, would not count.
                new = after(health, outcome, check, fast=fast, started_at=started_at)
                self._book[arn][target] = new
                if view(new, *target, probed=True) != view(health, *target, probed=True):
                    self._changed(arn)
                health = new
            seconds = pause(health, check, fast=fast)
            if health.ever_passed or not fast:
                # Targets that were registered together are not probed together for ever.
                seconds *= 0.95 + 0.1 * self._random()
            try:
                async with asyncio.timeout_at(started + seconds):
                    await watched.again.wait()
            except TimeoutError:
                continue


def _changed(before: Aim | None, now: Aim) -> set[Target]:
    """The targets that are probed in another way than before, or are other ones."""
    if before is None or (before.group is now.group and before.namespace == now.namespace):
        return set()
    entries = {(entry.id, entry.port): entry for entry in now.group.targets}
    same_settings = msgspec.structs.replace(before.group, targets=()) == msgspec.structs.replace(now.group, targets=())
    if before.namespace != now.namespace or not same_settings:
        return set(entries)
    earlier = {(entry.id, entry.port): entry for entry in before.group.targets}
    return {target for target, entry in entries.items() if entry != earlier.get(target)}


def _target(key: str) -> Target:
    target_id, _, port = key.rpartition("|")
    return target_id, int(port)
