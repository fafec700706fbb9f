"""Beginning to take tasks out of their target groups, inside the caller's transaction.

The order to stop a task and the end of new requests to it are one commit, so that there is no
moment in which a task is to stop and still gets new requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from openecs.model.service import Service
from openecs.model.target_group import Target
from openecs.model.task import Task
from openecs.planning import service_events
from openecs.state.state import State
from openecs.state.store import Transaction


def begin_draining(state: State, tx: Transaction, service: Service, tasks: Iterable[Task], now: float) -> list[str]:
    """Have the targets of ``tasks`` drain that do not yet; returns what to say about it."""
    left: Counter[str] = Counter()
    draining: Counter[str] = Counter()
    for task in tasks:
        targets = [t for t in state.targets.by("task", task.arn) if t.draining_since is None]
        for target in targets:
            tx.put(msgspec.structs.replace(target, draining_since=now))
            left[target.target_group_arn] += 1
        draining[task.deployment_id or ""] += bool(targets)
    return [*deregistered(service, left), *_drain(service, draining)]


def deregistered(service: Service, left: Counter[str]) -> list[str]:
    """The events for targets that left; ``left`` counts them by target group."""
    return [service_events.deregistered(service.name, count, arn) for arn, count in left.items()]


def forget(state: State, tx: Transaction, target: Target) -> None:
    """Take a target out, with what hosts said of it."""
    tx.delete(target)
    health = state.target_health.get(target.key)
    if health is not None:
        tx.delete(health)


def _drain(service: Service, draining: Counter[str]) -> list[str]:
    return [
        service_events.began_draining(service.name, deployment_id, count)
        for deployment_id, count in draining.items()
        if count
    ]
