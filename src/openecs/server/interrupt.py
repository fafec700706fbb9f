"""Interrupts FARGATE_SPOT tasks, as AWS does when it wants the capacity back.

On AWS a warning comes two minutes ahead of the end: the task is told to stop, its containers
get their stop signal at once and are killed when their ``stopTimeout`` (at most 120 seconds)
has passed.  Here it happens when somebody asks for it, and to one task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openecs import arn as arns
from openecs.clock import Clock
from openecs.errors import client_error, invalid_parameter
from openecs.model.task import Task
from openecs.model.task_state import request_stop
from openecs.state.state import State

SPOT = "FARGATE_SPOT"
REASON = "Your Spot Task was interrupted."


class Interruptions:
    """The handler of ``/_openecs/interrupt``."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def interrupt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Interrupt the task whose id or ARN is the member ``task``.

        Raises ``AWSError`` when there is none, when it is no task of FARGATE_SPOT and when it
        is to stop already.
        """
        task = self._found(body.get("task"))
        if task.capacity_provider_name != SPOT:
            raise client_error(
                f"Task {arns.short(task.arn)} was not started by the capacity provider {SPOT}, and only such tasks are "
                "interrupted. Stop others with StopTask."
            )
        if task.stopped or task.desired_status == "STOPPED":
            raise client_error(f"Task {arns.short(task.arn)} is {task.last_status} and stops or has stopped already.")
        with self._state.transaction() as tx:
            tx.put(request_stop(task, now=self._clock.now(), stop_code="SpotInterruption", reason=REASON))
        return {"task": task.arn}

    def _found(self, reference: object) -> Task:
        if not isinstance(reference, str) or not reference:
            raise invalid_parameter("Give the task's id or ARN in the member task.")
        task = self._state.tasks.get(reference)
        if task is None:
            # An id says nothing about region and cluster; ids are random, so that one task has it.
            task = next((task for task in self._state.tasks if arns.short(task.arn) == reference), None)
        if task is None:
            raise invalid_parameter("The referenced task was not found.")
        return task
