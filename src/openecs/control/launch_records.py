"""The records of a launch: a task without a place yet, and its tags."""

from __future__ import annotations

import msgspec

from openecs.control.launch_spec import LaunchSpec
from openecs.ids import Ids
from openecs.model.resources import Resources
from openecs.model.tags import ResourceTags
from openecs.model.task import Task
from openecs.planning.new_task import new_task
from openecs.state.store import Transaction


def unplaced(spec: LaunchSpec, reservation: Resources, now: float, ids: Ids) -> Task:
    """A PROVISIONING task without a place."""
    task = new_task(
        cluster=spec.cluster,
        definition=spec.definition,
        launch_type=spec.launch_type,
        group=spec.group,
        reservation=reservation,
        now=now,
        ids=ids,
        started_by=spec.started_by,
        service_arn=spec.service_arn,
        deployment_id=spec.deployment_id,
        overrides=spec.overrides,
        platform_version=spec.platform_version,
        pins=spec.pins,
    )
    return msgspec.structs.replace(
        task,
        enable_execute_command=spec.enable_execute_command,
        capacity_provider_name=spec.capacity_provider,
        connect=spec.connect,
    )


def put(tx: Transaction, spec: LaunchSpec, task: Task) -> Task:
    """Write the task with the tags that the launch gives it."""
    tx.put(task)
    if spec.tags:
        tx.put(ResourceTags(arn=task.arn, tags=spec.tags))
    return task
