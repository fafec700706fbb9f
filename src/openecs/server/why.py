"""``GET /_openecs/why/…``: gathers what is known of a task, service or deployment and asks the planner.

``task/<id or ARN>``, ``service/<cluster>/<name>``, ``deployment/<ecs-svc/N>``,
``schedule/<ARN of a schedule or a rule>``.  For root only:
the output of containers is among what it tells.
"""

from __future__ import annotations

import math
from typing import Literal

from openecs import arn as arns
from openecs.clock import Clock
from openecs.control.schedule_timetable import of_rule, of_schedule, reached
from openecs.control.target_verdicts import TargetVerdicts, load_balancers_of
from openecs.errors import AWSError
from openecs.model.history import HistoryEntry
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning.schedules.ticks import next_tick
from openecs.planning.target_verdict import TargetVerdict
from openecs.planning.why import (
    FAILURE_KINDS,
    ORDER_KINDS,
    Answer,
    ScheduleStory,
    ServiceStory,
    TaskStory,
    final_record,
    why_deployment,
    why_remembered,
    why_schedule,
    why_service,
    why_task,
)
from openecs.server.signed import SignedRequest
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.state import State

PATH = "/_openecs/why"
KEPT = "History is kept for 30 days."
#: Entries that are read of a service or a deployment: failed tasks; changes and deployments; all else.
FAILURES, ORDERS, REST = 200, 100, 100
#: Of changes of a cluster's instances while a task was there, the newest; one of them may be its own.
INSTANCES = 5_000


class Why:
    """The action behind the route."""

    def __init__(self, state: State, clock: Clock, account: str) -> None:
        self._state = state
        self._clock = clock
        self._account = account

    async def answer(self, request: SignedRequest) -> Answer:
        """Raises ``AWSError`` for what nobody knows."""
        if request.principal.kind != "root":
            raise AWSError("AccessDeniedException", "Only root may do this.")
        kind, _, rest = request.rest.partition("/")
        if kind == "task" and rest:
            return await self.task(rest)
        if kind == "service" and rest.count("/") == 1:
            cluster, name = rest.split("/")
            return await self.service(request.region, cluster, name)
        if kind == "deployment" and rest:
            return await self.deployment(rest)
        if kind == "schedule" and rest:
            return self.schedule(rest)
        raise AWSError(
            "InvalidParameterException",
            f"Ask for {PATH}/task/ID, {PATH}/service/CLUSTER/NAME, {PATH}/deployment/ecs-svc/N or {PATH}/schedule/ARN.",
        )

    async def task(self, reference: str) -> Answer:
        """Why a task is as it is; ``reference`` is its id or ARN."""
        task_id = arns.short(reference)
        entries = await self._state.store.history(HistoryQuery("task", task_id))
        known = next((entry.task_arn for entry in entries if entry.task_arn), None)
        task = self._find_task(known or reference) or final_record(entries)
        arn = task.arn if task is not None else known
        if arn is None or (reference.startswith("arn:") and arn != reference):
            raise _unknown(f"There is no task {task_id}, and none is remembered. {KEPT} List tasks with: ")
        if task is None:
            return why_remembered(arn, entries)
        orders, instances = await self._orders(task), await self._instances(task)
        return why_task(TaskStory(task, entries, orders, instances, self._verdict(task, TargetVerdicts(self._state))))

    async def _orders(self, task: Task) -> list[HistoryEntry]:
        """Who changed the service before the task was started, how its deployment began, and what led to its end."""
        if task.service_arn is None:
            return []
        read, created = self._state.store.history, task.created_at
        changes = ("service-changed",)
        found = await read(HistoryQuery("service", task.service_arn, kinds=changes, until=created, limit=1))
        if task.deployment_id is not None:
            own = HistoryQuery("deployment", task.deployment_id, kinds=("deployment",), until=created)
            found += await read(own)
        if (end := task.stopping_at or task.stopped_at) is not None:
            # From just after the task's start: what was read above must not come twice.
            after = math.nextafter(created, math.inf)
            found += await read(
                HistoryQuery("service", task.service_arn, kinds=ORDER_KINDS, since=after, until=end, limit=10)
            )
        return found

    async def _instances(self, task: Task) -> list[HistoryEntry]:
        end = task.stopping_at or task.stopped_at
        return await self._state.store.history(
            HistoryQuery(
                "cluster",
                task.cluster_arn,
                kinds=("instance",),
                since=task.created_at,
                until=math.inf if end is None else end,
                limit=INSTANCES,
            )
        )

    async def service(self, region: str, cluster: str, name: str) -> Answer:
        """Why a service of the signature's region is as it is."""
        arn = arns.ecs(region, self._account, f"service/{cluster}/{name}")
        entries = await self._entries("service", arn)
        service = self._state.services.get(arn)
        if service is None and not entries:
            raise AWSError(
                "ServiceNotFoundException",
                f"There is no service {name} in cluster {cluster} of {region}, and none is remembered. {KEPT} "
                f"List services with: aws ecs list-services --cluster {cluster}",
                status=404,
            )
        return why_service(self._story(arn, service, entries), self._clock.now())

    async def deployment(self, deployment_id: str) -> Answer:
        """How a deployment went; its id is ``ecs-svc/N``."""
        entries = await self._entries("deployment", deployment_id)
        service = next((s for s in self._state.services if any(d.id == deployment_id for d in s.deployments)), None)
        if service is None and not entries:
            raise AWSError(
                "InvalidParameterException",
                f"There is no deployment {deployment_id}, and none is remembered. {KEPT} DescribeServices shows "
                "deployments' ids.",
                status=404,
            )
        arn = service.arn if service else next((e.service_arn for e in entries if e.service_arn), "")
        return why_deployment(deployment_id, self._story(arn or "", service, entries), self._clock.now())

    def schedule(self, arn: str) -> Answer:
        """How the last ticks of a schedule, or of a rule with one, went."""
        schedule = self._state.schedules.get(arn)
        rule = self._state.event_rules.get(arn)
        progress = self._state.schedule_progress.get(arn)
        outcomes = progress.outcomes if progress is not None else ()
        if schedule is not None:
            last = reached(progress, schedule.modified_at)
            pending = [
                (one.due_at, one.attempts, one.last_error)
                for one in self._state.schedule_invocations.by("schedule", arn)
            ]
            following = next_tick(of_schedule(schedule), last)
            enabled = schedule.state == "ENABLED"
            expression = f"{schedule.expression} ({schedule.timezone})"
            return why_schedule(ScheduleStory(arn, expression, enabled, outcomes, pending, following, remembers=True))
        if rule is not None and rule.schedule_expression:
            last = reached(progress, rule.modified_at)
            pending = [
                (one.created_at, one.attempts, one.last_error)
                for one in self._state.event_deliveries
                if one.rule_arn == arn
            ]
            following = next_tick(of_rule(rule), last)
            enabled = rule.state == "ENABLED"
            return why_schedule(
                ScheduleStory(arn, rule.schedule_expression, enabled, outcomes, pending, following, remembers=False)
            )
        raise AWSError(
            "ResourceNotFoundException",
            f"There is no schedule, and no rule with a schedule, {arn}. List them with: aws scheduler list-schedules",
            status=404,
        )

    async def _entries(self, subject: Literal["service", "deployment"], value: str) -> list[HistoryEntry]:
        """The newest of each sort, so that a crash loop's failures do not hide who changed what."""
        read = self._state.store.history
        failures = await read(HistoryQuery(subject, value, kinds=FAILURE_KINDS, limit=FAILURES))
        orders = await read(HistoryQuery(subject, value, kinds=ORDER_KINDS, limit=ORDERS))
        rest = await read(HistoryQuery(subject, value, kinds=("service-event", "not-placed"), limit=REST))
        return sorted((*orders, *rest, *failures), key=lambda entry: entry.at)

    def _story(self, arn: str, service: Service | None, entries: list[HistoryEntry]) -> ServiceStory:
        tasks = self._state.tasks.by("service", arn)
        verdicts = TargetVerdicts(self._state)
        targets = {task.arn: said for task in tasks if (said := self._verdict(task, verdicts)) is not None}
        attempt = self._state.service_deployments.get(service.service_deployment_arn or "") if service else None
        shift = attempt.shift if attempt is not None and not attempt.finished else None
        return ServiceStory(arn, service, tasks, entries, targets, shift)

    def _verdict(self, task: Task, verdicts: TargetVerdicts) -> TargetVerdict | None:
        """What its load balancers say of a task that is one of their targets, or is to be."""
        service = self._state.services.get(task.service_arn or "")
        load_balancers = load_balancers_of(service, task) if service is not None else ()
        return verdicts.of(task, load_balancers) if load_balancers and not task.stopped else None

    def _find_task(self, reference: str) -> Task | None:
        if reference.startswith("arn:"):
            return self._state.tasks.get(reference)
        # Nothing was noted of it: it is older than history.
        return next((task for task in self._state.tasks if arns.short(task.arn) == reference), None)


def _unknown(text: str) -> AWSError:
    return AWSError("InvalidParameterException", f"{text}aws ecs list-tasks --desired-status STOPPED", status=404)
