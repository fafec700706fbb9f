"""Watching an installation come up, and saying so one line at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from openecs.cli.client import CallError, Client, UnreachableError, is_healthy
from openecs.cli.installation import Installation, Running
from openecs.errors import OperatorError

_TICK = 0.05

Say = Callable[[str], None]


def wait_until_ready(
    installation: Installation, supervisor_ended: Callable[[], str | None], *, seconds: float, say: Say
) -> Running:
    """Wait until the API answers and the local agent is connected.

    ``supervisor_ended`` gives the last words of a supervisor that ended, else ``None``.
    Raises ``OperatorError`` when either cannot be reached, with what the processes said.
    """
    begun = time.monotonic()

    def wait_for(what: str, check: Callable[[Running], bool]) -> Running:
        while True:
            ended = supervisor_ended()
            if ended is not None:
                raise OperatorError(ended)
            running = installation.running()
            if running is not None:
                if check(running):
                    say(f"  {what} ({time.monotonic() - begun:.1f} s)")
                    return running
                if running.trouble is not None:
                    raise OperatorError(running.trouble)
            if time.monotonic() - begun > seconds:
                raise OperatorError(
                    f"Not ready after {seconds:.0f} seconds: {what!r} did not come true. "
                    f"See what it waits for with: {installation.command('logs')}"
                )
            time.sleep(_TICK)

    def answers(running: Running) -> bool:
        # The file first: until this server has written it, whoever answers there is not ours.
        return installation.layout().server_file.exists() and is_healthy(running.endpoint)

    running = wait_for("control plane answers", answers)
    if running.with_agent:
        running = wait_for("agent connected", lambda _: bool(connected_nodes(installation)))
    return running


def connected_nodes(installation: Installation) -> list[dict[str, Any]]:
    """The machines whose agents are connected right now."""
    try:
        status = Client(installation.credentials()).get("/_openecs/status")
    except (UnreachableError, CallError):
        return []
    return [node for node in status["nodes"] if node["agent_connected"]]
