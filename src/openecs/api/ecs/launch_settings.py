"""What the tasks of a deployment or task set are to be made of: read, looked up and checked.

Task definition, launch type or capacity provider strategy, platform version and network
configuration depend on each other, so they are always checked together.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs.api.ecs import network_configuration, run_validation
from openecs.api.ecs import service_validation as validation
from openecs.control.region_networks import RegionNetworks
from openecs.model.service_connect import ServiceConnect
from openecs.model.task_definition import TaskDefinition
from openecs.shapes import ecs
from openecs.wire.call import Call

LaunchType = Literal["EC2", "FARGATE", "EXTERNAL"]
Strategy = tuple[ecs.CapacityProviderStrategyItem, ...]


class LaunchSettings(NamedTuple):
    """Checked settings, in the form in which a deployment keeps them."""

    task_definition_arn: str
    launch_type: LaunchType
    capacity_provider_strategy: Strategy
    #: As the service shows it: what was asked for, LATEST when nothing was; ``None`` off Fargate.
    platform_version: str | None
    network_configuration: ecs.NetworkConfiguration | None
    load_balancers: tuple[ecs.LoadBalancer, ...] = ()
    service_registries: tuple[ecs.ServiceRegistry, ...] = ()
    service_connect: ecs.ServiceConnectConfiguration | None = None
    connect: ServiceConnect | None = None
    monitoring: ecs.MonitoringConfiguration | None = None


def check(
    call: Call,
    networks: RegionNetworks,
    definition: TaskDefinition,
    *,
    launch_type: LaunchType,
    strategy: Strategy,
    platform_version: str | None,
    network: ecs.NetworkConfiguration | None,
) -> LaunchSettings:
    """The settings of tasks of ``definition``; raises AWS's errors for what does not fit together."""
    run_validation.check_launch_type(definition.definition, launch_type)
    network_configuration.check(
        definition.definition.network_mode, network, networks, call.region, launch_type=launch_type
    )
    network_configuration.platform_version(platform_version, launch_type)
    return LaunchSettings(
        task_definition_arn=definition.arn,
        launch_type=launch_type,
        capacity_provider_strategy=strategy,
        platform_version=(platform_version or "LATEST") if launch_type == "FARGATE" else None,
        network_configuration=validation.network_configuration(network),
    )
