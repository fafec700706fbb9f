"""ListServiceDeployments, DescribeServiceDeployments, StopServiceDeployment, ContinueServiceDeployment.

A service deployment is one attempt to bring a service revision out.  Stopping only records what
is wanted; the service scheduler carries it out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs import arn as arns
from openecs.api.ecs import lookup, service_deployment_view, service_lookup
from openecs.api.ecs import service_validation as validation
from openecs.api.ecs.task_set_view import TaskCount, count_tasks
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.planning import rollback, traffic_shift
from openecs.planning.service_snapshot import ServiceSnapshot, take_census
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESCRIBED = 20
LIST_DEFAULT = 20
LIST_LIMIT = 100


class ServiceDeployments:
    """The operations on service deployments."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name to handler."""
        return {
            "ListServiceDeployments": self.list,
            "DescribeServiceDeployments": self.describe,
            "StopServiceDeployment": self.stop,
            "ContinueServiceDeployment": self.continue_paused,
        }

    def list(self, call: Call, request: ecs.ListServiceDeploymentsRequest) -> ecs.ListServiceDeploymentsResponse:
        """The service deployments of one service, newest first."""
        cluster = self._cluster(call, request)
        service = service_lookup.find(self._state, cluster, request.service)
        if service is None:
            raise validation.not_found()
        created = request.created_at or ecs.CreatedAt()
        found = [
            deployment
            for deployment in self._state.service_deployments.by("service", service.arn)
            if (not request.status or deployment.status in request.status)
            and (created.before is None or deployment.created_at < created.before)
            and (created.after is None or deployment.created_at > created.after)
        ]
        found.sort(key=_age, reverse=True)
        page, token = self._pagination.paginate(
            found,
            max_results=request.max_results,
            next_token=request.next_token,
            default=LIST_DEFAULT,
            limit=LIST_LIMIT,
            scope=f"ListServiceDeployments:{service.arn}:{request.status}:{created.before}:{created.after}",
            key=_age,
            descending=True,
        )
        briefs = tuple(service_deployment_view.brief(deployment) for deployment in page)
        return ecs.ListServiceDeploymentsResponse(service_deployments=briefs, next_token=token)

    def describe(
        self, call: Call, request: ecs.DescribeServiceDeploymentsRequest
    ) -> ecs.DescribeServiceDeploymentsResponse:
        """Up to 20 service deployments; absent ones are ``failures`` with reason MISSING."""
        wanted = check_arns(call, request.service_deployment_arns, "serviceDeploymentArns", "service-deployment")
        found: list[ecs.ServiceDeployment] = []
        failures: list[ecs.Failure] = []
        counts: dict[str, dict[str | None, TaskCount]] = {}
        for arn in wanted:
            deployment = self._state.service_deployments.get(arn)
            if deployment is None:
                failures.append(ecs.Failure(arn=arn, reason="MISSING"))
                continue
            owner = deployment.service_arn
            if owner not in counts:
                counts[owner] = count_tasks(self._state.tasks.by("service", owner))
            found.append(service_deployment_view.full(deployment, self._state.services.get(owner), counts[owner]))
        return ecs.DescribeServiceDeploymentsResponse(service_deployments=tuple(found), failures=tuple(failures))

    def stop(self, call: Call, request: ecs.StopServiceDeploymentRequest) -> ecs.StopServiceDeploymentResponse:
        """Ask for the end of a deployment that is under way.

        ROLLBACK, the default, brings the last completed revision back, or an older one that runs
        in full.  ABORT only ends the
        deployment: nothing more of it is started, and what runs stays.
        """
        deployment = self._existing(call, request.service_deployment_arn)
        stop_type = request.stop_type or "ROLLBACK"
        service = self._state.services.get(deployment.service_arn)
        if service is None or service.status != "ACTIVE":
            raise _conflict(deployment, "because its service is not ACTIVE")
        if service.service_deployment_arn != deployment.arn or deployment.status not in ("PENDING", "IN_PROGRESS"):
            raise _conflict(deployment, f"in the status {deployment.status}")
        if deployment.shift is not None and deployment.shift.stage == "CLEAN_UP":
            raise _conflict(deployment, "in the lifecycle stage CLEAN_UP")
        if stop_type == "ROLLBACK" and self._nothing_to_go_back_to(service, call.now):
            raise invalid_parameter(
                "The service deployment cannot be rolled back because the service has no service revision that was "
                "deployed successfully."
            )
        changed = msgspec.structs.replace(
            deployment,
            stop_requested=stop_type,
            status="ROLLBACK_REQUESTED" if stop_type == "ROLLBACK" else "STOP_REQUESTED",
            updated_at=call.now,
        )
        with self._state.transaction() as tx:
            tx.put(changed)
        return ecs.StopServiceDeploymentResponse(service_deployment_arn=deployment.arn)

    def continue_paused(
        self, call: Call, request: ecs.ContinueServiceDeploymentRequest
    ) -> ecs.ContinueServiceDeploymentResponse:
        """Let a deployment go on that is paused at a lifecycle hook, or have it rolled back."""
        deployment = self._existing(call, request.service_deployment_arn)
        shift = None
        if deployment.shift is not None and deployment.status == "IN_PROGRESS":
            shift = traffic_shift.keep(deployment.shift, request.hook_id, request.action or "CONTINUE")
        if shift is None:
            raise invalid_parameter(
                f"The service deployment is not paused at a lifecycle hook with the ID '{request.hook_id}'."
            )
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(deployment, shift=shift, updated_at=call.now))
        return ecs.ContinueServiceDeploymentResponse(service_deployment_arn=deployment.arn)

    def _nothing_to_go_back_to(self, service: Service, now: float) -> bool:
        """Whether a rollback would only stall; the scheduler asks the same when it carries it out."""
        census = take_census(ServiceSnapshot(service, self._state.tasks.by("service", service.arn)), now)
        return rollback.target(service, census, service.desired_count) is None

    def _existing(self, call: Call, arn: str) -> ServiceDeployment:
        (arn,) = check_arns(call, (arn,), "serviceDeploymentArn", "service-deployment")
        found = self._state.service_deployments.get(arn)
        if found is None:
            raise AWSError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        return found

    def _cluster(self, call: Call, request: ecs.ListServiceDeploymentsRequest) -> Cluster:
        """The cluster; a service's ARN says which one where the request does not."""
        reference = request.cluster
        parsed = arns.parse(request.service)
        if not reference and parsed is not None and len(parsed.path) == 2:
            reference = parsed.path[0]
        return lookup.cluster(self._state, call, reference)


def check_arns(call: Call, given: tuple[str, ...], member: str, kind: str) -> tuple[str, ...]:
    """The ARNs, each once; raises ``InvalidParameterException`` for none, too many or other things."""
    if not given:
        raise invalid_parameter(f"{member} cannot be empty.")
    if len(given) > MAX_DESCRIBED:
        raise invalid_parameter(f"{member} can have at most {MAX_DESCRIBED} items.")
    for arn in given:
        parsed = arns.parse(arn)
        if parsed is None or parsed.kind != kind:
            raise invalid_parameter(f"Invalid identifier: expected the ARN of a {kind}, got '{arn}'.")
        if parsed.region != call.region or parsed.account != call.account:
            raise invalid_parameter("The specified resource is in another region or account.")
    return tuple(dict.fromkeys(given))


def _age(deployment: ServiceDeployment) -> tuple[Any, ...]:
    return (deployment.created_at, deployment.arn)


def _conflict(deployment: ServiceDeployment, why: str) -> AWSError:
    return AWSError(
        "ConflictException",
        f"The service deployment cannot be stopped {why}.",
        members={"resourceIds": [deployment.arn]},
    )
