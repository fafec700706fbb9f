"""The texts of service events and how they are kept.  Pure.

Texts are AWS's, because people alert on them.  A service keeps its 100 newest events, newest
first.  A message about a lasting condition is not repeated within six hours unless the
service was steady in between; that another instance is the closest one now makes it no other
message.  What happened, such as starts and stops, is told each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from openecs.ids import Ids
from openecs.planning.target_verdict import TargetFailure
from openecs.shapes import ecs

MAXIMUM_EVENTS = 100
#: Seconds within which the same message about the same condition is said once.
REPEAT_AFTER = 6 * 3600.0
#: AWS starts and stops tasks in batches and names at most this many in one event.
BATCH = 10

_TROUBLESHOOTING = " For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
#: What RunTask answers in a cluster without container instances.
NO_INSTANCES = "No Container Instances were found in your cluster."
#: While tasks wait for the first machine of their capacity provider.
NO_INSTANCES_OF_PROVIDER = "No Container Instances were found in your capacity provider."
_STEADY = "has reached a steady state."
#: What messages about lasting conditions have in common, those of ``zone_events`` among them.
_CONDITION = re.compile(r"unable to |failed to launch a task|tasks exit or fail |AZ balanced|AZ Rebalancing")
_INSTANCE = re.compile(r"\(container-instance [^)]*\)")

_CLOSEST: dict[str, str] = {
    "RESOURCE:CPU": "has insufficient CPU units available.",
    "RESOURCE:MEMORY": "has insufficient memory available.",
    "RESOURCE:PORTS": "is already using a port required by your task.",
    "RESOURCE:PORTS_UDP": "is already using a port required by your task.",
    "RESOURCE:GPU": "has insufficient GPU resource available.",
    "RESOURCE:ENI": "has insufficient ENI capacity available.",
    "AGENT": "doesn't have the agent connected.",
    "ATTRIBUTE": "is missing an attribute required by your task.",
}


def steady_state(service: str) -> str:
    """The service runs what it should, all of it healthy."""
    return f"(service {service}) {_STEADY}"


def deployment_completed(service: str, deployment: str) -> str:
    """A deployment replaced everything that was there before."""
    return f"(service {service}) (deployment {deployment}) deployment completed."


def started(service: str, task_ids: Sequence[str], *, replaced_unhealthy: int = 0) -> list[str]:
    """One text per batch of started tasks."""
    texts = []
    for batch in _batches(task_ids):
        text = f"(service {service}) has started {len(batch)} tasks: {_tasks(batch)}."
        replaced = min(replaced_unhealthy, len(batch))
        replaced_unhealthy -= replaced
        if replaced:
            text += f" Amazon ECS replaced {replaced} tasks due to an unhealthy status."
        texts.append(text)
    return texts


def stopped_running(service: str, task_ids: Sequence[str]) -> list[str]:
    """One text per batch of running tasks that were told to stop."""
    return [
        f"(service {service}) has stopped {len(batch)} running tasks: {_tasks(batch)}." for batch in _batches(task_ids)
    ]


def stopped_pending(service: str, count: int) -> str:
    """Tasks that were told to stop before they ran."""
    return f"(service {service}) stopped {count} pending tasks."


def failed_health_checks(service: str, task_id: str) -> str:
    """A task was told to stop because a container's health check fails."""
    return f"(service {service}) (task {task_id}) failed container health checks."


def unhealthy_target(service: str, task_id: str, target: TargetFailure) -> str:
    """A task was told to stop because its load balancer's health checks fail."""
    who = f"(task {task_id})" if target.instance_id is None else f"(instance {target.instance_id})"
    return (
        f"(service {service}) {who} (port {target.port}) is unhealthy in (target-group {target.target_group_arn}) "
        f"due to (reason {target.reason})"
    )


def registered(service: str, count: int, target_group_arn: str) -> str:
    """Tasks became targets of a target group."""
    return f"(service {service}) registered {count} targets in (target-group {target_group_arn})"


def deregistered(service: str, count: int, target_group_arn: str) -> str:
    """Targets of a target group get no new requests any more."""
    return f"(service {service}) deregistered {count} targets in (target-group {target_group_arn})"


def began_draining(service: str, deployment: str, count: int) -> str:
    """Tasks of a deployment, or task set, wait for the end of what is in flight to them."""
    return f"(service {service}, taskSet {deployment}) has begun draining connections on {count} tasks."


def registration_failed(service: str, target_group_arn: str, why: str) -> str:
    """Tasks cannot become targets; ``why`` is a sentence."""
    return f"(service {service}) was unable to register targets in (target-group {target_group_arn}) with (error {why})"


def traffic_not_shifted(service: str, rule_arn: str, why: str) -> str:
    """A listener rule cannot be given weights; ``why`` is a clause."""
    return f"(service {service}) was unable to shift traffic in (listener-rule {rule_arn}) because {why}."


def balancer_not_active(service: str, load_balancer_arn: str, why: str) -> str:
    """Nothing probes the targets yet; ``why`` is what the load balancer waits for, if it says."""
    said = f" (reason {why})" if why else ""
    return (
        f"(service {service}) was unable to reach steady state because (load-balancer {load_balancer_arn}) "
        f"is not active.{said}"
    )


def start_impaired(service: str) -> str:
    """Tasks of the service fail again and again before they run."""
    return f"(service {service}) is unable to consistently start tasks successfully."


def exits_early(service: str, deployment: str, delay: float) -> str:
    """Tasks end, or fail their health checks, soon after they started; the next launch waits ``delay`` seconds."""
    seconds = "1 second" if delay == 1 else f"{delay:g} seconds"
    return (
        f"(service {service}) (deployment {deployment}) tasks exit or fail their health checks soon after they start. "
        f"The next task is started {seconds} after the last one ended."
    )


def deployment_failed(service: str, deployment: str, why: str) -> str:
    """A deployment is given up; ``why`` is a clause that ends with a full stop."""
    return f"(service {service}) (deployment {deployment}) deployment failed: {why}"


def rolling_back(service: str, deployment: str) -> str:
    """The service goes back to a deployment that was completed before."""
    return f"(service {service}) rolling back to deployment {deployment}."


def scale_in_blocked(service: str, deployment: str, count: int) -> str:
    """Tasks of a deployment, or task set, should go and are protected from scale-in."""
    return (
        f"(service {service}) was unable to reach steady state because (taskSet {deployment}) was unable to scale in "
        f"due to (reason {count} tasks under protection)"
    )


def blocked_by_configuration(service: str) -> str:
    """The two percentages leave no room to replace a single task."""
    return (
        f"(service {service}) was unable to stop or start tasks during a deployment because of the service "
        "deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
    )


def unable_to_place(service: str, failure: ecs.Failure, *, fargate: bool, cluster_arn: str) -> str:
    """No node took a task; ``failure`` is what the closest one, or the launch itself, said."""
    if failure.reason == "RESOURCE:ENI" and failure.arn == cluster_arn:
        return (
            f"(service {service}) was unable to place a task. Reason: The subnets of the network configuration have "
            "no free IP address."
        )
    if fargate:
        return (
            f"(service {service}) was unable to place a task. Reason: Capacity is unavailable at this time. "
            f"Please try again later or in a different availability zone.{_TROUBLESHOOTING}"
        )
    reason = failure.reason or "INTERNAL"
    said = _CLOSEST.get(reason, f'encountered error "{reason}".')
    instance = (failure.arn or "").rsplit("/", 1)[-1]
    return f"{_nowhere(service)} The closest matching (container-instance {instance}) {said}{_TROUBLESHOOTING}"


def too_many_waiting(service: str) -> str:
    """The cluster has as many PROVISIONING tasks as it may have."""
    return (
        f"(service {service}) was unable to place tasks in your cluster because the tasks provisioning capacity limit "
        "was exceeded."
    )


def launch_refused(service: str, message: str) -> str:
    """A launch was refused as a whole; ``message`` is the API's."""
    if message in (NO_INSTANCES, NO_INSTANCES_OF_PROVIDER):
        return f"{_nowhere(service)} Reason: {message}{_TROUBLESHOOTING}"
    return f"(service {service}) failed to launch a task with (error {message})."


def placement_reason(text: str) -> str | None:
    """The reason as a failure of RunTask spells it, out of the text of an event about a failed placement."""
    if "Capacity is unavailable at this time." in text:
        return "RESOURCE:FARGATE"
    if "have no free IP address." in text:
        return "RESOURCE:ENI"
    return next((reason for reason, said in _CLOSEST.items() if said in text), None)


def _nowhere(service: str) -> str:
    return f"(service {service}) was unable to place a task because no container instance met all of its requirements."


def append(
    events: tuple[ecs.ServiceEvent, ...], texts: Iterable[str], *, now: float, ids: Ids
) -> tuple[ecs.ServiceEvent, ...]:
    """``events`` with new ones in front, the given order being the order in time.

    Every event is at least a millisecond younger than the one before it, as on AWS, so that
    those who follow a service by "newer than the last that I saw" miss none.
    """
    kept = list(events)
    for text in texts:
        if _said_already(kept, text, now):
            continue
        at = now if not kept else max(now, round((kept[0].created_at or 0.0) + 0.001, 3))
        kept.insert(0, ecs.ServiceEvent(id=ids.uuid(), created_at=at, message=text))
    return tuple(kept[:MAXIMUM_EVENTS])


def _said_already(events: Sequence[ecs.ServiceEvent], text: str, now: float) -> bool:
    if _CONDITION.search(text) is None:
        return False
    text = _INSTANCE.sub("", text)
    for event in events:
        message = event.message or ""
        if now - (event.created_at or 0.0) >= REPEAT_AFTER:
            return False
        if message.endswith(_STEADY):
            return False
        if _INSTANCE.sub("", message) == text:
            return True
    return False


def _batches(task_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (task_ids[start : start + BATCH] for start in range(0, len(task_ids), BATCH))


def _tasks(task_ids: Sequence[str]) -> str:
    return " ".join(f"(task {task_id})" for task_id in task_ids)
