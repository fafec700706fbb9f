"""The task set that CreateTaskSet asks for.  Reads state, writes nothing."""

from __future__ import annotations

import msgspec

from openecs.api.ecs import (
    launch_settings,
    provider_strategy,
    run_validation,
    service_load_balancers,
    service_registries,
)
from openecs.api.ecs import service_records as records
from openecs.api.ecs import service_tokens as tokens
from openecs.api.ecs import service_validation as validation
from openecs.api.ecs.definition.lookup import resolve
from openecs.control.region_networks import RegionNetworks
from openecs.errors import invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.service import Deployment, Service, TaskSetSettings
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call

#: Task sets of a service, those being deleted included.
MAX_TASK_SETS = 5


class TaskSetCreation:
    """Turns CreateTaskSet requests into task sets."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks

    def token(
        self, call: Call, cluster: Cluster, service: Service, request: ecs.CreateTaskSetRequest
    ) -> ClientToken | None:
        """The record that remembers the request's client token, if it has one."""
        validation.check_client_token(request.client_token)
        if not request.client_token:
            return None
        return ClientToken(
            cluster_arn=cluster.arn,
            token=f"CreateTaskSet/{service.name}/{request.client_token}",
            request_hash=tokens.request_hash(request),
            task_arns=(),
            used_at=call.now,
        )

    def repeated(self, service: Service, token: ClientToken | None) -> Deployment | None:
        """The task set that the token made and that is still there; a conflict raises."""
        known = self._state.client_tokens.get(token.key) if token is not None else None
        if token is None or known is None:
            return None
        if known.request_hash != token.request_hash:
            raise invalid_parameter("Creation of task set was not idempotent.")
        return next((d for d in service.deployments if d.task_set and d.task_set.arn in known.task_arns), None)

    def task_set(
        self, call: Call, cluster: Cluster, service: Service, request: ecs.CreateTaskSetRequest
    ) -> tuple[Deployment, TaskSetSettings]:
        """An ACTIVE task set of the service; raises AWS's errors for what cannot be."""
        if len(request.load_balancers or ()) > 1:
            raise invalid_parameter("Multiple target groups are not supported for the EXTERNAL deployment controller.")
        if not request.task_definition:
            raise invalid_parameter("TaskDefinition can not be blank.")
        scale = 0.0 if request.scale is None else check_scale(request.scale)
        existing = sum(d.task_set is not None for d in service.deployments)
        if existing >= MAX_TASK_SETS:
            raise invalid_parameter(
                f"{existing} deployments exist on the service. Unable to create new TaskSet since this exceeds the "
                "maximum limit."
            )
        strategy, launch_type = provider_strategy.resolve(
            self._state, cluster, request.launch_type, request.capacity_provider_strategy
        )
        run_validation.check_placement(service.placement_constraints, service.placement_strategy, launch_type)
        definition = resolve(self._state, call.region, request.task_definition)
        checked = launch_settings.check(
            call,
            self._networks,
            definition,
            launch_type=launch_type,
            strategy=strategy,
            platform_version=request.platform_version,
            network=request.network_configuration,
        )
        balancers = service_load_balancers.check(
            self._state,
            call.region,
            request.load_balancers,
            definition.definition,
            launch_type=launch_type,
            of_task_set=True,
        )
        registries = service_registries.check(
            self._state, call.region, request.service_registries, definition.definition, launch_type=launch_type
        )
        checked = checked._replace(load_balancers=balancers, service_registries=registries)
        begun = records.deployment(service.arn, checked, now=call.now, ids=call.ids)
        settings = TaskSetSettings(
            arn=records.task_set_arn(service.arn, begun.id),
            scale=scale,
            external_id=request.external_id,
            stability_status_at=call.now,
        )
        # Task sets are not rolled out and have no service revision.
        deployment = msgspec.structs.replace(
            begun,
            status="ACTIVE",
            rollout_state="COMPLETED",
            rollout_state_reason="",
            revision_arn="",
            task_set=settings,
        )
        return deployment, settings


def check_scale(scale: ecs.Scale) -> float:
    """The percentage that ``scale`` says: 0 to 100, 0 when it says none."""
    value = 0.0 if scale.value is None else float(scale.value)
    if not 0 <= value <= 100:
        raise invalid_parameter("The scale of a task set must be between 0 and 100 percent.")
    return value
