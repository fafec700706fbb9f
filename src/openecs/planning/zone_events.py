"""The service event texts of availability zone rebalancing, in AWS's words.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: How ``stoppedReason`` of a task begins that rebalancing stopped.
STOPPED_REASON = "Availability-zone rebalancing initiated by"


def unbalanced(service: str, counts: Mapping[str, int]) -> str:
    """Rebalancing begins; ``counts`` are tasks by zone."""
    return f"(service {service}) is not AZ balanced with {_tasks(counts)}. AZ Rebalancing in progress."


def balanced(service: str, counts: Mapping[str, int]) -> str:
    """Rebalancing is done."""
    return f"(service {service}) is AZ balanced with {_tasks(counts)}."


def stopped_rebalancing(service: str) -> str:
    """Rebalancing ended before it was done; other events say why."""
    return f"(service {service}) stopped AZ Rebalancing."


def started(service: str, zone: str, task_ids: Sequence[str]) -> str:
    """Tasks were started in the zone with the fewest."""
    return f"(service {service}) has started {len(task_ids)} tasks in {zone} to AZ Rebalance: {_named(task_ids)}."


def stopped(service: str, zone: str, task_ids: Sequence[str]) -> str:
    """Tasks were told to stop in the zone with the most."""
    return (
        f"(service {service}) has stopped {len(task_ids)} running tasks in {zone} due to AZ rebalancing: "
        f"{_named(task_ids)}."
    )


def unable_to_place(service: str, zone: str, *, fargate: bool) -> str:
    """No node of the zone took the task."""
    text = f"(service {service}) is unable to place a task in {zone}"
    return f"{text}." if fargate else f"{text} because no container instance met all of its requirements."


def protected(service: str, deployment: str, count: int) -> str:
    """All tasks of the fullest zone are under scale-in protection."""
    return (
        f"(service {service}) was unable to AZ Rebalance because (taskSet {deployment}) was unable to scale in due to "
        f"(reason {count} tasks under protection)."
    )


def _tasks(counts: Mapping[str, int]) -> str:
    parts = [f"{counts[zone]} tasks in {zone}" for zone in sorted(counts)]
    return ", ".join(parts[:-1]) + ", and " + parts[-1] if len(parts) > 2 else " and ".join(parts)


def _named(task_ids: Sequence[str]) -> str:
    return " ".join(f"(task {task_id})" for task_id in task_ids)
