"""Stopping every task of an installation, and waiting for the agents' word that they have."""

from __future__ import annotations

import asyncio

from openecs.model.task_state import request_stop
from openecs.state.state import State


def stop_all(state: State, *, now: float, reason: str) -> int:
    """Ask every task to stop; how many have not stopped yet."""
    live = [task for task in state.tasks if not task.stopped]
    with state.transaction() as tx:
        for task in live:
            tx.put(request_stop(task, now=now, stop_code="UserInitiated", reason=reason))
    return len(live)


async def all_stopped(state: State) -> None:
    """Wait until nothing runs any more."""
    changed = asyncio.Event()
    unsubscribe = state.store.subscribe("task", lambda _: changed.set())
    try:
        while any(not task.stopped for task in state.tasks):
            changed.clear()
            await changed.wait()
    finally:
        unsubscribe()
