"""``GET /_openecs/why/…``: gathers what is known of a task, service or deployment and asks the planner.

``task/<id or ARN>``, ``service/<cluster>/<name>``, ``deployment/<ecs-svc/N>``.  For root only:
the output of containers is among what it tells.
"""

from __future__ import annotations

from openecs import arn as arns
from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.model.history import HistoryEntry
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning.why import Answer, ServiceStory, TaskStory, why_deployment, why_service, why_task
from openecs.planning.why.task import final_record
from openecs.server.signed import SignedRequest
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.state import State

PATH = "/_openecs/why"
KEPT = "History is kept for 30 days."


class Why:
    """The action behind the route."""

    def __init__(self, state: State, clock: Clock, account: str) -> None:
        self._state = state
        self._clock = clock
        self._account = account

    async def answer(self, request: SignedRequest) -> Answer:
        """Raises ``AWSError`` for what nobody knows."""
        if request.principal.kind != "root":
            raise AWSError("AccessDeniedException", "Only root may do this.", status=403)
        kind, _, rest = request.rest.partition("/")
        if kind == "task" and rest:
            return await self.task(rest)
        if kind == "service" and rest.count("/") == 1:
            cluster, name = rest.split("/")
            return await self.service(request.region, cluster, name)
        if kind == "deployment" and rest:
            return await self.deployment(rest)
        raise AWSError(
            "InvalidParameterException",
            f"Ask for {PATH}/task/ID, {PATH}/service/CLUSTER/NAME or {PATH}/deployment/ecs-svc/N.",
        )

    async def task(self, reference: str) -> Answer:
        """Why a task is as it is; ``reference`` is its id or ARN."""
        task_id = arns.short(reference)
        entries = await self._state.store.history(HistoryQuery(task_id=task_id))
        known = next((entry.task_arn for entry in entries if entry.task_arn), None)
        task = self._find_task(known or reference) or final_record(entries)
        if task is None or (reference.startswith("arn:") and task.arn != reference):
            raise _unknown(f"There is no task {task_id}, and none is remembered. {KEPT} List tasks with: ")
        around: list[HistoryEntry] = []
        if task.service_arn is not None:
            around = await self._state.store.history(HistoryQuery(service_arn=task.service_arn))
        instances = await self._state.store.history(HistoryQuery(cluster_arn=task.cluster_arn))
        return why_task(TaskStory(task, entries, around, instances))

    async def service(self, region: str, cluster: str, name: str) -> Answer:
        """Why a service of the signature's region is as it is."""
        arn = arns.ecs(region, self._account, f"service/{cluster}/{name}")
        entries = await self._state.store.history(HistoryQuery(service_arn=arn))
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
        entries = await self._state.store.history(HistoryQuery(deployment_id=deployment_id))
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

    def _story(self, arn: str, service: Service | None, entries: list[HistoryEntry]) -> ServiceStory:
        return ServiceStory(arn, service, self._state.tasks.by("service", arn), entries)

    def _find_task(self, reference: str) -> Task | None:
        if reference.startswith("arn:"):
            return self._state.tasks.get(reference)
        # Nothing was noted of it: it is older than history.
        return next((task for task in self._state.tasks if arns.short(task.arn) == reference), None)


def _unknown(text: str) -> AWSError:
    return AWSError("InvalidParameterException", f"{text}aws ecs list-tasks --desired-status STOPPED", status=404)
