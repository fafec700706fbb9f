"""Stopping all tasks of an installation before it goes down."""

from __future__ import annotations

import time
from collections.abc import Callable

from openecs.cli.client import CallError, Client
from openecs.errors import OperatorError

#: How often the count is looked at while tasks stop.
_TICK = 0.1


def live_tasks(status: dict[str, dict[str, int]]) -> int:
    """How many tasks have not come to their end, from the reply of ``/_openecs/status``."""
    return sum(count for name, count in status["tasks_by_status"].items() if name not in ("STOPPED", "DELETED"))


def stop_all(client: Client, *, seconds: float, progress: Callable[[int], None]) -> None:
    """Have every task of every region and cluster stopped, and wait until they are.

    The control plane starts no task from then on until it is started again; services keep
    their desired counts.  ``progress`` is told how many tasks are left whenever that changes.
    Raises ``OperatorError`` when tasks are left after ``seconds``.
    """
    try:
        client.post("/_openecs/stop-tasks")
    except CallError as error:
        raise OperatorError(
            f"The tasks could not be stopped ({error}). To stop OpenECS and leave its containers running, "
            "use: openecs down --keep-tasks"
        ) from None
    deadline = time.monotonic() + seconds
    last = -1
    while left := live_tasks(client.get("/_openecs/status")):
        if left != last:
            progress(left)
            last = left
        if time.monotonic() >= deadline:
            raise OperatorError(
                f"{left} tasks have not stopped within {seconds:.0f} seconds. Wait longer with --timeout, or leave "
                "their containers running with: openecs down --keep-tasks"
            )
        time.sleep(_TICK)
