"""The service record that CreateService asks for.  Reads state, writes nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from openecs.api.ecs import (
    deployment_configuration,
    launch_settings,
    provider_strategy,
    run_validation,
    service_connect,
    service_load_balancers,
    service_lookup,
    service_registries,
    service_scheduling,
    service_traffic,
)
from openecs.api.ecs import service_records as records
from openecs.api.ecs import service_update as updates
from openecs.api.ecs import service_validation as validation
from openecs.api.ecs.definition.lookup import resolve
from openecs.control.region_networks import RegionNetworks
from openecs.errors import invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.service import Deployment, Service
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call


class CheckedRequest(NamedTuple):
    """What of a request holds whatever else is in the installation."""

    scheduling_strategy: Literal["REPLICA", "DAEMON"]
    deployment_controller: service_scheduling.Controller
    configuration: ecs.DeploymentConfiguration


def check_request(request: ecs.CreateServiceRequest, *, default_strategy: bool) -> CheckedRequest:
    """Check a request by itself; raises AWS's errors and refuses what is not served.

    ``default_strategy`` says whether its cluster has a default capacity provider strategy.
    """
    controller = service_scheduling.controller(request.deployment_controller)
    scheduling: Literal["REPLICA", "DAEMON"] = request.scheduling_strategy or "REPLICA"
    if scheduling == "DAEMON":
        service_scheduling.check_daemon_create(request, default_strategy=default_strategy)
    if controller == "EXTERNAL":
        service_scheduling.check_external_create(request)
    validation.refuse_for_create(request)
    if request.desired_count is None and scheduling == "REPLICA" and controller == "ECS":
        raise invalid_parameter("desiredCount is required for the REPLICA scheduling strategy.")
    validation.check_desired_count(request.desired_count)
    validation.check_grace_period(request.health_check_grace_period_seconds)
    configuration = deployment_configuration.resolve(
        request.deployment_configuration, scheduling_strategy=scheduling, controller=controller
    )
    return CheckedRequest(scheduling, controller, configuration)


class ServiceCreation:
    """Turns CreateService requests into service records."""

    def __init__(self, state: State, networks: RegionNetworks) -> None:
        self._state = state
        self._networks = networks

    def service(self, call: Call, cluster: Cluster, request: ecs.CreateServiceRequest) -> Service:
        """The service with its first deployment; raises AWS's errors for what cannot be.

        A service with the EXTERNAL controller has no deployment: its task sets come later.
        """
        checked = check_request(request, default_strategy=bool(cluster.default_capacity_provider_strategy))
        controller = checked.deployment_controller
        deployment = None if controller == "EXTERNAL" else self._deployment(call, cluster, request)
        if deployment is not None:
            service_traffic.check_strategy(
                checked.configuration.strategy, deployment.load_balancers, deployment.service_connect
            )
        constraints = request.placement_constraints or ()
        strategy = validation.placement_strategy(request.placement_strategy)
        run_validation.check_placement(constraints, strategy, deployment.launch_type if deployment else "EC2")
        service = Service(
            arn=service_lookup.service_arn(cluster, request.service_name),
            name=request.service_name,
            cluster_arn=cluster.arn,
            region=call.region,
            status="ACTIVE",
            desired_count=request.desired_count or 0,
            created_at=call.now,
            deployments=(deployment,) if deployment else (),
            deployment_configuration=checked.configuration,
            scheduling_strategy=checked.scheduling_strategy,
            deployment_controller=controller,
            role_arn=_role_arn(request, deployment, call.account),
            created_by=call.principal.arn,
            placement_constraints=constraints,
            placement_strategy=strategy,
            health_check_grace_period_seconds=request.health_check_grace_period_seconds,
            enable_ecs_managed_tags=bool(request.enable_ecs_managed_tags),
            propagate_tags=request.propagate_tags or "NONE",
            client_token=request.client_token,
        )
        return msgspec.structs.replace(
            service,
            availability_zone_rebalancing=service_scheduling.rebalancing(
                request.availability_zone_rebalancing, updates.why_not_rebalanced(service)
            ),
        )

    def _deployment(self, call: Call, cluster: Cluster, request: ecs.CreateServiceRequest) -> Deployment:
        if not request.task_definition:
            raise invalid_parameter("TaskDefinition can not be blank.")
        strategy, launch_type = provider_strategy.resolve(
            self._state, cluster, request.launch_type, request.capacity_provider_strategy
        )
        definition = resolve(self._state, call.region, request.task_definition)
        settings = launch_settings.check(
            call,
            self._networks,
            definition,
            launch_type=launch_type,
            strategy=strategy,
            platform_version=request.platform_version,
            network=request.network_configuration,
        )
        balancers = service_load_balancers.check(
            self._state, call.region, request.load_balancers, definition.definition, launch_type=launch_type
        )
        registries = service_registries.check(
            self._state, call.region, request.service_registries, definition.definition, launch_type=launch_type
        )
        arn = service_lookup.service_arn(cluster, request.service_name)
        connect = service_connect.settle(
            self._state,
            call,
            cluster,
            arn,
            request.service_connect_configuration,
            definition.definition,
            launch_type=launch_type,
        )
        settings = settings._replace(
            load_balancers=balancers,
            service_registries=registries,
            service_connect=connect.configuration,
            connect=connect.connect,
            monitoring=validation.monitoring(request.monitoring, None),
        )
        return records.deployment(arn, settings, now=call.now, ids=call.ids)


def _role_arn(request: ecs.CreateServiceRequest, deployment: Deployment | None, account: str) -> str | None:
    """The ARN of the role that the request names for its load balancers."""
    if not request.role:
        return None
    several = len(request.load_balancers or ()) > 1
    if several or (deployment is not None and deployment.network_configuration is not None):
        raise invalid_parameter("You cannot specify an IAM role for services that require a service linked role.")
    if request.role.startswith("arn:"):
        return request.role
    return f"arn:aws:iam::{account}:role/{request.role.lstrip('/')}"


def same(existing: Service, wanted: Service) -> bool:
    """Whether two services ask for the same: a repeated create then is no conflict."""
    first, second = existing.primary, wanted.primary
    members = (
        "deployment_configuration",
        "scheduling_strategy",
        "deployment_controller",
        "placement_constraints",
        "placement_strategy",
        "health_check_grace_period_seconds",
        "enable_ecs_managed_tags",
        "propagate_tags",
        "availability_zone_rebalancing",
        "client_token",
    )
    if any(getattr(existing, name) != getattr(wanted, name) for name in members):
        return False
    # The desired count of a DAEMON service is counted, not asked for.
    if wanted.scheduling_strategy == "REPLICA" and existing.desired_count != wanted.desired_count:
        return False
    if wanted.deployment_controller == "EXTERNAL":
        return True
    return first is not None and second is not None and not updates.differs(first, second)
