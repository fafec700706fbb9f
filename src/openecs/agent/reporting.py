"""Sending task state changes: in order for each task, retried for ever, what waits in one call.

The reporter keeps nothing itself: reports wait in the persisted task state until ``send``
says how many of them the control plane has taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from openecs.agent.engine.task_state import Report
from openecs.errors import AWSError, Retryable
from openecs.shapes import ecs

_log = structlog.get_logger("openecs.agent")
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.25, 1.5, 30.0


class TaskStateApi(Protocol):
    """The one operation that reports go through."""

    async def submit_task_state_change(self, request: ecs.SubmitTaskStateChangeRequest) -> None:
        """Raises ``AWSError`` when refused, ``Retryable`` when it did not get through."""
        ...


class Reporter:
    """Sends reports; ``wake`` when the control plane is heard of again.

    ``at_once`` calls are under way at most.  A few keep a busy node's reports flowing; with many, a fleet
    that starts thousands of tasks would open thousands of connections, and others' calls queue behind them.
    """

    def __init__(self, api: TaskStateApi, *, at_once: int = 4, jitter: random.Random | None = None) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(at_once)
        self._jitter = jitter or random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._back = asyncio.Event()

    def wake(self) -> None:
        """The control plane is back: do not wait out pauses."""
        self._back.set()
        self._back = asyncio.Event()

    async def send(self, cluster: str, task_arn: str, reports: Sequence[Report]) -> int:
        """Send the oldest reports as one call; how many of them are settled.

        Returns when the control plane has taken them, or has refused them for good
        (InvalidParameterException); until then it tries again and again.
        """
        report, count = merge(reports)
        request = _request(cluster, task_arn, report)
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._slots:
                    await self._api.submit_task_state_change(request)
            except AWSError as error:
                if error.code == "InvalidParameterException":
                    _log.error("report refused, dropped", task=task_arn, status=report.status, error=error.message)
                    return count
                _log.warning("report refused, will be repeated", task=task_arn, code=error.code, error=error.message)
            except Retryable as error:
                _log.debug("report did not get through", task=task_arn, error=str(error))
            else:
                return count
            back = self._back
            try:
                async with asyncio.timeout(pause * self._jitter.uniform(0.8, 1.2)):
                    await back.wait()
            except TimeoutError:
                pause = min(pause * GROWTH, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE


def merge(reports: Sequence[Report]) -> tuple[Report, int]:
    """One report for as many of the oldest ones as can be said in one call, and their number.

    Containers' changes stay in order; a change of the task's own status is never skipped.
    """
    merged = reports[0]
    count = 1
    for report in reports[1:]:
        if merged.task_changed and report.status != merged.status:
            break
        merged = Report(
            status=report.status,
            task_changed=merged.task_changed or report.task_changed,
            reason=report.reason or merged.reason,
            containers=merged.containers + report.containers,
            pull_started_at=report.pull_started_at,
            pull_stopped_at=report.pull_stopped_at,
            execution_stopped_at=report.execution_stopped_at,
            attached=merged.attached + report.attached,
        )
        count += 1
    return merged, count


def _request(cluster: str, task_arn: str, report: Report) -> ecs.SubmitTaskStateChangeRequest:
    return ecs.SubmitTaskStateChangeRequest(
        cluster=cluster,
        task=task_arn,
        status=report.status,
        reason=report.reason[:1024],
        containers=report.containers or None,
        attachments=tuple(ecs.AttachmentStateChange(attachment_arn=a, status="ATTACHED") for a in report.attached)
        or None,
        pull_started_at=report.pull_started_at,
        pull_stopped_at=report.pull_stopped_at,
        execution_stopped_at=report.execution_stopped_at,
    )
