"""``POST /_openecs/evidence``: what agents saw of containers, into the history of their tasks.

Only the principal that registered a task's machine may tell of the task, and only of containers
that the task has.  An agent that tells too much of one task is not listened to any more.  What
was printed is kept of the first few containers alone that end in the same way: a service whose
tasks crash all day says the same all day, and history is in the file that holds the state.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs import arn as arns
from openecs.acs.evidence import Evidence
from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.model.history import HistoryEntry
from openecs.model.task import Task
from openecs.server.signed import SignedRequest
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.state import State

#: Pieces of evidence that are kept of one task, and tasks for which they are counted.
PER_TASK, TASKS = 50, 4096
#: Pieces whose output is kept within ``OUTPUT_PERIOD`` seconds of a deployment's (or else a group's)
#: containers of one name that ended in the same way; and how many such ways are counted.
WITH_OUTPUT, OUTPUT_PERIOD, WAYS = 20, 3600.0, 4096
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
        #: Way in which containers end → since when it is counted, and pieces with output since then.
        self._with_output: dict[tuple[object, ...], tuple[float, int]] = {}

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
        if all(container.name != found.container for container in task.containers):
            raise AWSError("InvalidParameterException", "The task has no such container.")
        await self._count(task)
        now = self._clock.now()
        text = text_of(found)
        if (found.log or any(probe.output for probe in found.probes)) and not self._may_keep_output(task, found, now):
            probes = tuple(msgspec.structs.replace(probe, output="") for probe in found.probes)
            found = msgspec.structs.replace(found, log=None, probes=probes)
            text += f"; its output is not kept: {WITH_OUTPUT} others told the same within the hour"
        entry = HistoryEntry(
            at=found.at if now - SKEW <= found.at <= now else now,
            kind="evidence",
            text=text,
            task_arn=task.arn,
            facts={k: v for k, v in msgspec.to_builtins(found).items() if k not in ("task_arn", "at")},
        )
        with self._state.transaction() as tx:
            tx.note(entry)
        return {}

    async def _count(self, task: Task) -> None:
        """One more piece about the task; raises ``AWSError`` when there are enough."""
        if task.arn not in self._taken:
            # Since the start, or since it was last heard of: the history knows.
            query = HistoryQuery("task", arns.short(task.arn), kinds=("evidence",), limit=PER_TASK)
            told = len(await self._state.store.history(query))
            # Another piece may have come while this one waited.
            self._taken.setdefault(task.arn, told)
        count = self._taken.pop(task.arn)
        self._taken[task.arn] = min(count + 1, PER_TASK)
        if len(self._taken) > TASKS:
            del self._taken[next(iter(self._taken))]
        if count >= PER_TASK:
            raise AWSError("LimitExceededException", f"{PER_TASK} pieces of evidence about one task are enough.")

    def _may_keep_output(self, task: Task, found: Evidence, now: float) -> bool:
        owner = task.deployment_id or (task.cluster_arn, task.group)
        way = (owner, found.container, found.occasion, found.exit_code, found.oom_killed)
        since, count = self._with_output.pop(way, (now, 0))
        if not since <= now < since + OUTPUT_PERIOD:
            since, count = now, 0
        self._with_output[way] = (since, min(count + 1, WITH_OUTPUT))
        if len(self._with_output) > WAYS:
            del self._with_output[next(iter(self._with_output))]
        return count < WITH_OUTPUT


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
