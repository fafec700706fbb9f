"""``POST /_openecs/evidence``: what agents saw of containers, into the history of their tasks.

Only the principal that registered a task's machine may tell of the task.  An agent that tells
too much of one task is not listened to any more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.acs.evidence import Evidence
from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.model.history import HistoryEntry
from openecs.server.signed import SignedRequest
from openecs.state.state import State

#: Pieces of evidence that are kept of one task, and tasks for which they are counted.
PER_TASK, TASKS = 50, 4096
#: Seconds by which an agent's clock may differ from ours to be believed.
SKEW = 300.0

_decode = msgspec.json.Decoder(Evidence).decode


class EvidenceTaker:
    """The action behind the route."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        #: Task → pieces taken; the task that was heard of last is last.
        self._taken: dict[str, int] = {}

    async def take(self, request: SignedRequest) -> dict[str, Any]:
        """Keep one piece of evidence.  Raises ``AWSError``."""
        try:
            found = _decode(request.body)
        except msgspec.DecodeError as error:
            raise AWSError("SerializationException", f"This is no evidence: {error}") from None
        task = self._state.tasks.get(found.task_arn)
        node = self._state.nodes.get(task.node_id or "") if task else None
        if request.principal.kind != "root" and (node is None or node.owner != request.principal.arn):
            # The same for a task that is not there: who may not tell of it need not know.
            raise AWSError(
                "AccessDeniedException", f"{request.principal.arn} did not register the machine of {found.task_arn}."
            )
        if task is None:
            raise AWSError("InvalidParameterException", "The referenced task was not found.")
        count = self._taken.pop(task.arn, 0)
        if count >= PER_TASK:
            self._taken[task.arn] = count
            raise AWSError("LimitExceededException", f"{PER_TASK} pieces of evidence about one task are enough.")
        self._taken[task.arn] = count + 1
        if len(self._taken) > TASKS:
            del self._taken[next(iter(self._taken))]
        now = self._clock.now()
        entry = HistoryEntry(
            at=found.at if now - SKEW <= found.at <= now else now,
            kind="evidence",
            text=text_of(found),
            task_arn=task.arn,
            facts={k: v for k, v in msgspec.to_builtins(found).items() if k not in ("task_arn", "at")},
        )
        with self._state.transaction() as tx:
            tx.note(entry)
        return {}


def text_of(found: Evidence) -> str:
    """Evidence as a sentence."""
    name = f"container {found.container}"
    if found.occasion == "unhealthy":
        return f"{name} turned UNHEALTHY: its health check fails"
    if found.occasion == "failed":
        pull = f" (pulling took {found.pull_seconds:g} s)" if found.pull_seconds and "Pull" in found.reason else ""
        return f"{name} could not be started: {found.reason}{pull}"
    if found.occasion == "restarted":
        return f"{name} ended and was restarted by its restart policy ({found.restarts} times now)"
    text = f"{name} ended by itself"
    if found.exit_code is not None:
        text += f" with exit code {found.exit_code}"
    if found.oom_killed:
        limit = f" (limit {found.memory_limit} MiB)" if found.memory_limit else ""
        return f"{text}: killed for want of memory{limit}"
    return f"{text}: {found.reason}" if found.reason else text
