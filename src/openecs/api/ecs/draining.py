"""Container instances that give up their tasks: drained by a caller, or taken back by their node's owner.

Service tasks that run are replaced by the service scheduler, which sees the status; standalone
tasks end in their own time.  ``control.returned_instances`` ends an instance that was taken
back when its last task has ended.
"""

from __future__ import annotations

import msgspec

from openecs import arn as arns
from openecs.model import task_state
from openecs.model.node import ContainerInstance, Node
from openecs.state.state import State
from openecs.state.store import Transaction

PENDING = ("PROVISIONING", "PENDING", "ACTIVATING")


def stop_pending(state: State, tx: Transaction, instance: ContainerInstance, *, now: float) -> None:
    """Stop the instance's service tasks that do not run yet."""
    for task in state.tasks.by("live_on_node", instance.node_id):
        if task.container_instance_arn == instance.arn and task.service_arn is not None and task.last_status in PENDING:
            reason = f"Scaling activity initiated by (deployment {task.deployment_id})"
            tx.put(task_state.request_stop(task, now=now, stop_code="ServiceSchedulerInitiated", reason=reason))


def take_back(state: State, tx: Transaction, node: Node, *, now: float) -> None:
    """Withdraw the node from clusters that it neither registered in nor is lent to any more.

    An instance without tasks is INACTIVE at once, one with tasks DRAINING until they have ended.
    """
    busy = {task.container_instance_arn for task in state.tasks.by("live_on_node", node.id)}
    for instance in state.container_instances.by("node", node.id):
        if instance.arn == node.instance_arn or instance.status == "INACTIVE":
            continue
        if arns.short(instance.cluster_arn) in node.lent_to:
            continue
        if instance.taken_back and instance.status == "DRAINING" and instance.arn in busy:
            continue
        status = "DRAINING" if instance.arn in busy else "INACTIVE"
        tx.put(msgspec.structs.replace(instance, status=status, taken_back=True, version=instance.version + 1))
        stop_pending(state, tx, instance, now=now)
