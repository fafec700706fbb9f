"""Container instances: register, deregister, describe, list, drain."""

from __future__ import annotations

import msgspec

from openecs import arn as arns
from openecs.api.ecs import lookup
from openecs.api.ecs.container_instance_registration import Registration, lend
from openecs.api.ecs.container_instance_view import facts, view
from openecs.api.ecs.draining import stop_pending
from openecs.api.ecs.node_ownership import require_owner
from openecs.errors import client_error, invalid_parameter
from openecs.ids import Ids
from openecs.model import task_state
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance
from openecs.planning import cluster_query
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESCRIBED = 100
MAX_UPDATED = 10
FORCED = "Container instance deregistration forced by user"


def lend_to_cluster(state: State, tx: Transaction, cluster: Cluster, *, now: float, ids: Ids) -> None:
    """Show every node that is lent to clusters of that name in a new cluster."""
    for node in list(state.nodes):
        if cluster.name in node.lent_to:
            lend(state, tx, node, cluster, now=now, ids=ids, again=True)


class ContainerInstances:
    """The operations on container instances."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination
        self._registration = Registration(state)

    def handlers(self) -> Handlers:
        return {
            "RegisterContainerInstance": self._registration.register,
            "DeregisterContainerInstance": self.deregister,
            "DescribeContainerInstances": self.describe,
            "ListContainerInstances": self.list_instances,
            "UpdateContainerInstancesState": self.update_state,
            "UpdateContainerAgent": self.update_agent,
        }

    def deregister(
        self, call: Call, request: ecs.DeregisterContainerInstanceRequest
    ) -> ecs.DeregisterContainerInstanceResponse:
        """Make an instance INACTIVE.  ``force`` gives up its tasks: they count as STOPPED at
        once, and the agent, as long as it is connected, is told to stop them.

        The last instance of a machine whose agent is gone takes the machine out of the Fargate
        pool and gives up its FARGATE tasks too: nobody else could ever end them.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        instance = self._registered(call, cluster, request.container_instance)
        node = self._state.nodes.get(instance.node_id)
        others = self._state.container_instances.by("node", instance.node_id)
        host_is_gone = (
            node is not None
            and not node.agent_connected
            and all(other.status == "INACTIVE" for other in others if other.arn != instance.arn)
        )
        tasks = [
            task
            for task in self._state.tasks.by("live_on_node", instance.node_id)
            if task.container_instance_arn == instance.arn or (host_is_gone and request.force)
        ]
        if tasks and not request.force:
            raise invalid_parameter("Found running tasks on the instance.")
        instance = msgspec.structs.replace(instance, status="INACTIVE", version=instance.version + 1)
        with self._state.transaction() as tx:
            tx.put(instance)
            if node is not None and host_is_gone:
                tx.put(msgspec.structs.replace(node, fargate_pool=False))
            for task in tasks:
                tx.put(task_state.declare_stopped(task, now=call.now, stop_code="UserInitiated", reason=FORCED))
        return ecs.DeregisterContainerInstanceResponse(container_instance=view(self._state, instance, ("TAGS",)))

    def describe(
        self, call: Call, request: ecs.DescribeContainerInstancesRequest
    ) -> ecs.DescribeContainerInstancesResponse:
        """Up to 100 instances; absent ones are MISSING."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        _check_count(request.container_instances, MAX_DESCRIBED)
        found, failures = self._find(cluster, request.container_instances)
        include = request.include or ()
        return ecs.DescribeContainerInstancesResponse(
            container_instances=tuple(view(self._state, instance, include) for instance in found),
            failures=tuple(failures),
        )

    def list_instances(
        self, call: Call, request: ecs.ListContainerInstancesRequest
    ) -> ecs.ListContainerInstancesResponse:
        """ARNs of the cluster's instances that are not INACTIVE, or of one status."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        instances = self._state.container_instances.by("cluster", cluster.arn)
        wanted = [i for i in instances if (i.status == request.status if request.status else i.status != "INACTIVE")]
        if request.filter:
            try:
                expression = cluster_query.parse(request.filter)
            except cluster_query.QueryError as error:
                raise invalid_parameter(f"Invalid filter expression: {error}") from None
            wanted = [i for i in wanted if expression.matches(facts(self._state, i))]
        page, token = self._pagination.paginate(
            sorted(i.arn for i in wanted),
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=f"ListContainerInstances:{cluster.arn}:{request.status}:{request.filter}",
        )
        return ecs.ListContainerInstancesResponse(container_instance_arns=tuple(page), next_token=token)

    def update_state(
        self, call: Call, request: ecs.UpdateContainerInstancesStateRequest
    ) -> ecs.UpdateContainerInstancesStateResponse:
        """Drain up to 10 instances or make them ACTIVE again.

        Draining stops the PENDING tasks of services here and now; the service scheduler
        replaces RUNNING ones, and standalone tasks stay.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        status = request.status
        if status not in ("ACTIVE", "DRAINING"):
            raise invalid_parameter("Container instance status must be ACTIVE or DRAINING.")
        _check_count(request.container_instances, MAX_UPDATED)
        found, failures = self._find(cluster, request.container_instances)
        for instance in found:
            require_owner(call, self._state.nodes.get(instance.node_id), instance.arn)
        failures += [ecs.Failure(arn=i.arn, reason="INACTIVE") for i in found if i.status == "INACTIVE"]
        changed: list[ContainerInstance] = []
        with self._state.transaction() as tx:
            for instance in found:
                if instance.status == "INACTIVE":
                    continue
                if instance.status != status:
                    instance = msgspec.structs.replace(instance, status=status, version=instance.version + 1)
                    tx.put(instance)
                    if status == "DRAINING":
                        stop_pending(self._state, tx, instance, now=call.now)
                changed.append(instance)
        return ecs.UpdateContainerInstancesStateResponse(
            container_instances=tuple(view(self._state, i, ("TAGS",)) for i in changed), failures=tuple(failures)
        )

    def update_agent(self, call: Call, request: ecs.UpdateContainerAgentRequest) -> None:
        """Refused: agents are updated like any other program of their host."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        self._registered(call, cluster, request.container_instance)
        raise client_error(
            "UpdateContainerAgent is not supported by OpenECS. Install the new agent on the host and restart it."
        )

    def _registered(self, call: Call, cluster: Cluster, reference: str) -> ContainerInstance:
        """An instance that is not INACTIVE and that the caller may speak for."""
        if not reference:
            raise client_error("Container instance cannot be empty.")
        found = lookup.container_instance(self._state, cluster, reference)
        if found is None or found.status == "INACTIVE":
            raise client_error(f"Referenced container instance {arns.short(reference)} not found.")
        require_owner(call, self._state.nodes.get(found.node_id), found.arn)
        return found

    def _find(self, cluster: Cluster, references: tuple[str, ...]) -> tuple[list[ContainerInstance], list[ecs.Failure]]:
        found: dict[str, ContainerInstance] = {}
        failures: dict[str, ecs.Failure] = {}
        for reference in references:
            arn = lookup.container_instance_arn(cluster, reference)
            instance = lookup.container_instance(self._state, cluster, reference)
            if instance is None:
                failures[arn] = ecs.Failure(arn=arn, reason="MISSING")
            else:
                found[arn] = instance
        return list(found.values()), list(failures.values())


def _check_count(references: tuple[str, ...], limit: int) -> None:
    if not references:
        raise invalid_parameter("Container Instances cannot be empty.")
    if len(references) > limit:
        raise invalid_parameter(f"Container Instances can have at most {limit} items.")
