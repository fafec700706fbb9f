"""CreateTaskSet, UpdateTaskSet, DeleteTaskSet, DescribeTaskSets, UpdateServicePrimaryTaskSet.

A task set is a deployment of a service with the EXTERNAL controller: somebody outside decides
what it runs and how much of the service it is.  Handlers only record that;
``openecs.control.services`` starts and stops the tasks.
"""

from __future__ import annotations

import msgspec

from openecs.api.ecs import lookup, task_set_lookup, task_set_view
from openecs.api.ecs.task_set_creation import TaskSetCreation, check_scale
from openecs.api.ecs.task_set_view import TaskCount, count_tasks
from openecs.control.region_networks import RegionNetworks
from openecs.errors import invalid_parameter
from openecs.model import tag_rules
from openecs.model.service import Deployment, Service
from openecs.model.tags import ResourceTags
from openecs.planning.task_set_plan import computed_desired_count
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class TaskSets:
    """The operations on task sets."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._creation = TaskSetCreation(state, networks)

    def handlers(self) -> Handlers:
        """Operation name to handler."""
        return {
            "CreateTaskSet": self.create,
            "UpdateTaskSet": self.update,
            "DeleteTaskSet": self.delete,
            "DescribeTaskSets": self.describe,
            "UpdateServicePrimaryTaskSet": self.update_primary,
        }

    def create(self, call: Call, request: ecs.CreateTaskSetRequest) -> ecs.CreateTaskSetResponse:
        """Add a task set, ACTIVE; the same client token again answers with the same one."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        service = task_set_lookup.external_service(self._state, cluster, request.service)
        token = self._creation.token(call, cluster, service, request)
        known = self._creation.repeated(service, token)
        if known is not None:
            return ecs.CreateTaskSetResponse(task_set=self._view(service, known, with_tags=True))
        tags = request.tags or ()
        tag_rules.check(tags)
        created, settings = self._creation.task_set(call, cluster, service, request)
        changed = msgspec.structs.replace(service, deployments=(created, *service.deployments), steady=False)
        with self._state.transaction() as tx:
            tx.put(changed)
            tx.put(ResourceTags(arn=settings.arn, tags=tag_rules.merge((), tags)))
            if token is not None:
                tx.put(msgspec.structs.replace(token, task_arns=(settings.arn,)))
        return ecs.CreateTaskSetResponse(task_set=self._view(changed, created, with_tags=True))

    def update(self, call: Call, request: ecs.UpdateTaskSetRequest) -> ecs.UpdateTaskSetResponse:
        """Change how much of the service a task set is.  Ends the back-off of failing tasks."""
        service = self._service(call, request.cluster, request.service)
        deployment, settings = task_set_lookup.live(service, request.task_set)
        scale = check_scale(request.scale)
        changes = {"scale": scale}
        before = computed_desired_count(service.desired_count, settings.scale)
        if computed_desired_count(service.desired_count, scale) != before:
            settings = msgspec.structs.replace(settings, stability_status="STABILIZING", stability_status_at=call.now)
        changed = msgspec.structs.replace(
            deployment,
            task_set=msgspec.structs.replace(settings, **changes),
            failed_tasks=0,
            updated_at=call.now,
        )
        return ecs.UpdateTaskSetResponse(task_set=self._replace(service, {deployment.id: changed}, changed))

    def delete(self, call: Call, request: ecs.DeleteTaskSetRequest) -> ecs.DeleteTaskSetResponse:
        """Begin to delete a task set: DRAINING until its tasks are gone."""
        service = self._service(call, request.cluster, request.service)
        deployment, settings = task_set_lookup.find(service, request.task_set)
        if deployment.status == "DRAINING":
            return ecs.DeleteTaskSetResponse(task_set=self._view(service, deployment, with_tags=False))
        if not request.force and deployment.status == "PRIMARY":
            raise invalid_parameter("The primary task set can only be deleted with the force option.")
        if not request.force and settings.scale > 0:
            raise invalid_parameter(
                "The task set can not be deleted while it is scaled above 0. Scale it to 0 or use the force option."
            )
        changed = msgspec.structs.replace(deployment, status="DRAINING", updated_at=call.now)
        return ecs.DeleteTaskSetResponse(task_set=self._replace(service, {deployment.id: changed}, changed))

    def update_primary(
        self, call: Call, request: ecs.UpdateServicePrimaryTaskSetRequest
    ) -> ecs.UpdateServicePrimaryTaskSetResponse:
        """Make one task set PRIMARY; the one that was becomes ACTIVE."""
        service = self._service(call, request.cluster, request.service)
        wanted, _ = task_set_lookup.live(service, request.primary_task_set)
        changes = {
            d.id: msgspec.structs.replace(d, status="ACTIVE", updated_at=call.now)
            for d in service.deployments
            if d.status == "PRIMARY"
        }
        primary = msgspec.structs.replace(wanted, status="PRIMARY", updated_at=call.now)
        changes[wanted.id] = primary
        return ecs.UpdateServicePrimaryTaskSetResponse(task_set=self._replace(service, changes, primary))

    def describe(self, call: Call, request: ecs.DescribeTaskSetsRequest) -> ecs.DescribeTaskSetsResponse:
        """The named task sets of a service, or all; absent ones are ``failures`` with MISSING."""
        service = self._service(call, request.cluster, request.service)
        with_tags = "TAGS" in (request.include or ())
        by_id = {d.id: d for d in service.deployments if d.task_set is not None}
        found: dict[str, ecs.TaskSet] = {}
        missing: dict[str, ecs.Failure] = {}
        counts = self._counts(service)
        wanted = [task_set_lookup.identifier(service, reference) for reference in request.task_sets or ()]
        for identifier in wanted if request.task_sets else by_id:
            deployment = by_id.get(identifier)
            if deployment is None:
                arn = task_set_lookup.arn(service, identifier)
                missing[arn] = ecs.Failure(arn=arn, reason="MISSING")
            else:
                found[identifier] = self._view(service, deployment, with_tags=with_tags, counts=counts)
        return ecs.DescribeTaskSetsResponse(task_sets=tuple(found.values()), failures=tuple(missing.values()))

    def _service(self, call: Call, cluster: str, reference: str) -> Service:
        found = lookup.cluster(self._state, call, cluster)
        return task_set_lookup.external_service(self._state, found, reference)

    def _replace(self, service: Service, changes: dict[str, Deployment], shown: Deployment) -> ecs.TaskSet:
        """Write changed task sets; returns the view of one of them."""
        deployments = tuple(changes.get(d.id, d) for d in service.deployments)
        changed = msgspec.structs.replace(service, deployments=deployments, steady=False)
        with self._state.transaction() as tx:
            tx.put(changed)
        return self._view(changed, shown, with_tags=False)

    def _counts(self, service: Service) -> dict[str | None, TaskCount]:
        return count_tasks(self._state.tasks.by("service", service.arn))

    def _view(
        self,
        service: Service,
        deployment: Deployment,
        *,
        with_tags: bool,
        counts: dict[str | None, TaskCount] | None = None,
    ) -> ecs.TaskSet:
        counts = self._counts(service) if counts is None else counts
        tags: tuple[ecs.Tag, ...] | None = None
        if with_tags:
            known = self._state.tags.get(task_set_lookup.arn(service, deployment.id))
            tags = known.tags if known else ()
        return task_set_view.render(service, deployment, counts.get(deployment.id, TaskCount()), tags)
