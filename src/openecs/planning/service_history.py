"""What history says of a service's change: from the records before and after to entries.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from openecs import arn as arns
from openecs.model.history import Actor, HistoryEntry
from openecs.model.service import Deployment, Service, ServiceEvents
from openecs.model.service_deployment import ServiceDeployment
from openecs.planning.traffic_shift import changes as shift_changes

#: Members that are bookkeeping of the scheduler, or told by other entries.
_UNTOLD = frozenset(
    {"deployments", "service_deployment_arn", "last_completed", "production_id", "steady", "steady_at", "deleted_at"}
)


def service_entries(
    old: Service | None, new: Service | None, *, causes: Mapping[str, str], actor: Actor | None, now: float
) -> Iterator[HistoryEntry]:
    """What one committed change of a service is worth remembering.

    ``causes`` is what the change's maker said, by deployment; ``actor`` whoever called.
    """
    if new is None:
        return
    changed: dict[str, tuple[Any, Any]] = {}
    if old is not None and (actor is not None or old.desired_count != new.desired_count):
        changed = _changes(old, new)
    if changed or (actor is not None and (old is None or old.deployments != new.deployments)):
        told = ", ".join(f"{name} {_shown(before)} -> {_shown(after)}" for name, (before, after) in changed.items())
        if old is None:
            told = f"desiredCount {new.desired_count}"
        definition = _definition_change(old, new)
        told = ", ".join(part for part in (told, definition) if part)
        who = f"{actor.operation} by {actor.principal}" if actor else "changed by the control plane"
        facts: dict[str, Any] = {"changes": changed}
        if actor is not None:
            facts |= {"principal": actor.principal, "operation": actor.operation}
        text = f"{who}: {told}" if told else who
        yield HistoryEntry(at=now, kind="service-changed", text=text, service_arn=new.arn, facts=facts)
    before = {d.id: d for d in old.deployments} if old is not None else {}
    for deployment in new.deployments:
        text = _deployment_change(before.get(deployment.id), deployment)
        if text:
            cause = causes.get(deployment.id, "")
            text = f"{deployment.id}: {text}" + (f" ({cause})" if cause and cause not in text else "")
            yield _about(new.arn, deployment.id, text, now, deployment=deployment)
    left = before.keys() - {d.id for d in new.deployments}
    for deployment_id in sorted(left):
        yield _about(new.arn, deployment_id, f"{deployment_id}: none of its tasks is left, it is over", now)


def event_entries(old: ServiceEvents | None, new: ServiceEvents | None) -> Iterator[HistoryEntry]:
    """The events that a service got, oldest first."""
    if new is None:
        return
    newest = old.events[0].id if old is not None and old.events else None
    fresh = []
    for event in new.events:
        if event.id == newest:
            break
        fresh.append(event)
    for event in reversed(fresh):
        yield HistoryEntry(
            at=event.created_at or 0.0,
            kind="service-event",
            text=event.message or "",
            service_arn=new.service_arn,
        )


def service_deployment_entries(
    old: ServiceDeployment | None, new: ServiceDeployment | None, *, actor: Actor | None, now: float
) -> Iterator[HistoryEntry]:
    """Requests to stop a service deployment, and its end."""
    if new is None or old is None:
        return
    if new.stop_requested is not None and old.stop_requested is None:
        who = f" by {actor.principal}" if actor else ""
        text = f"{new.deployment_id}: asked to stop ({new.stop_requested}){who}"
        yield _about(new.service_arn, new.deployment_id, text, now)
    if new.shift is not None and old.shift is not None:
        for text in shift_changes(old.shift, new.shift):
            yield _about(new.service_arn, new.deployment_id, f"{new.deployment_id}: {text}", now)
    if new.status != old.status:
        reason = new.status_reason or new.rollback_reason
        text = f"{new.deployment_id}: service deployment {arns.short(new.arn)} is {new.status}"
        text += f": {reason}" if reason else ""
        yield _about(new.service_arn, new.deployment_id, text, now)


def _about(service_arn: str, deployment_id: str, text: str, now: float, **facts: Any) -> HistoryEntry:
    return HistoryEntry(
        at=now, kind="deployment", text=text, service_arn=service_arn, deployment_id=deployment_id, facts=facts
    )


def _changes(old: Service, new: Service) -> dict[str, tuple[Any, Any]]:
    """Member (as ECS spells it) → what it was and what it is."""
    found: dict[str, tuple[Any, Any]] = {}
    for field in msgspec.structs.fields(Service):
        if field.name in _UNTOLD:
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            found |= _differences(_spelled(field.name), msgspec.to_builtins(before), msgspec.to_builtins(after))
    return found


def _differences(name: str, before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """What differs, by the path to it: ``deploymentConfiguration.maximumPercent``."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return {name: (before, after)} if before != after else {}
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        found |= _differences(f"{name}.{key}", before.get(key), after.get(key))
    return found


def _definition_change(old: Service | None, new: Service) -> str:
    after = new.primary
    before = old.primary if old is not None else None
    if after is None or (before is not None and before.task_definition_arn == after.task_definition_arn):
        return ""
    name = arns.short(after.task_definition_arn)
    return f"taskDefinition {arns.short(before.task_definition_arn)} -> {name}" if before else f"taskDefinition {name}"


def _deployment_change(old: Deployment | None, new: Deployment) -> str:
    name = arns.short(new.task_definition_arn)
    if old is None:
        return f"{new.status} deployment of {name} begins"
    if old.rollout_state != new.rollout_state or old.rolls_back != new.rolls_back:
        rolls_back = f", rolls back {new.rolls_back}" if new.rolls_back else ""
        return f"{new.rollout_state}{rolls_back}: {new.rollout_state_reason}"
    if old.status != new.status:
        return f"{old.status} -> {new.status}"
    return ""


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _spelled(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
