"""Stopping all tasks of an installation before it goes down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.errors import OperatorError

#: How often the count is looked at while tasks stop.
_TICK = 0.1
#: The control plane launches nothing for this part of the time that it names; then it is asked again.
_RENEW_AFTER = 1 / 3


def live_tasks(status: dict[str, dict[str, int]]) -> int:
    """How many tasks have not come to their end, from the reply of ``/_openecs/status``."""
    return sum(count for name, count in status["tasks_by_status"].items() if name not in ("STOPPED", "DELETED"))


def stop_all(client: Client, *, seconds: float, progress: Callable[[int], None]) -> None:
    """Have every task of every region and cluster stopped, and wait until they are.

    The control plane starts no task meanwhile nor for half a minute after that; services keep
    their desired counts.  ``progress`` is told how many tasks are left whenever that changes.
    Raises ``OperatorError`` when tasks are left after ``seconds``.
    """
    renew_at = _pause(client)
    deadline = time.monotonic() + seconds
    last = -1
    while left := live_tasks(client.get("/_openecs/status")):
        if time.monotonic() >= renew_at:
            renew_at = _pause(client)
        if left != last:
            progress(left)
            last = left
        if time.monotonic() >= deadline:
            raise OperatorError(
                f"{left} tasks have not stopped within {seconds:.0f} seconds. Wait longer with --timeout, or leave "
                "their containers running with: openecs down --keep-tasks"
            )
        time.sleep(_TICK)
    _pause(client)


def _pause(client: Client) -> float:
    """Have all tasks stopped and none launched; the monotonic time at which to say so again."""
    asked = time.monotonic()
    try:
        reply = client.post("/_openecs/stop-tasks")
    except CallError as error:
        raise OperatorError(
            f"The tasks could not be stopped ({error}). To stop OpenECS and leave its containers running, "
            "use: openecs down --keep-tasks"
        ) from None
    return asked + float(reply.get("paused_seconds", 30.0)) * _RENEW_AFTER


@contextlib.contextmanager
def launching_again_unless_done(client: Client) -> Iterator[None]:
    """When the block raises, be it for Ctrl-C, the control plane launches tasks again."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(CallError, UnreachableError):
            client.post("/_openecs/resume")
        raise
