"""The ``loadBalancers`` of services and task sets: what is checked before they are kept.

Reads state, writes nothing.  Messages are AWS's where AWS's are known.
"""

from __future__ import annotations

from openecs.api.ecs import service_traffic
from openecs.control.target_lookup import TargetLookup
from openecs.errors import invalid_parameter, not_supported
from openecs.shapes import ecs
from openecs.state.state import State

#: Target groups of one service.
MAX_TARGET_GROUPS = 5


def check(
    state: State,
    region: str,
    given: tuple[ecs.LoadBalancer, ...] | None,
    definition: ecs.TaskDefinition,
    *,
    launch_type: str,
    of_task_set: bool = False,
) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers as the deployment keeps them; raises AWS's errors for what cannot be."""
    given = given or ()
    if not given:
        return ()
    refuse(given)
    if of_task_set and any(one.advanced_configuration is not None for one in given):
        raise invalid_parameter("advancedConfiguration is not supported for task sets.")
    if len(given) > MAX_TARGET_GROUPS:
        raise invalid_parameter(f"load balancers can have at most {MAX_TARGET_GROUPS} items.")
    if launch_type == "EXTERNAL":
        raise invalid_parameter("Load balancers are not supported with the EXTERNAL launch type.")
    seen: set[tuple[str | None, str | None, int | None]] = set()
    for load_balancer in given:
        _check_members(load_balancer)
        _check_target_group(state, region, load_balancer, definition)
        _check_container(load_balancer, definition)
        service_traffic.check_advanced(state, load_balancer)
        entry = (load_balancer.target_group_arn, load_balancer.container_name, load_balancer.container_port)
        if entry in seen:
            raise invalid_parameter(
                f"The target group {load_balancer.target_group_arn} is specified more than once for the same port."
            )
        seen.add(entry)
    return given


def refuse(given: tuple[ecs.LoadBalancer, ...] | None) -> None:
    """Refuse by name what no load balancer of a service can have here."""
    for load_balancer in given or ():
        if load_balancer.load_balancer_name:
            raise not_supported("loadBalancerName (a Classic Load Balancer; use targetGroupArn)")


def _check_members(given: ecs.LoadBalancer) -> None:
    if not given.target_group_arn:
        raise invalid_parameter("Target group ARN can not be blank.")
    if not given.container_name:
        raise invalid_parameter("Container Name can not be blank.")
    if given.container_port is None:
        raise invalid_parameter("Container port can not be blank.")


def _check_target_group(state: State, region: str, given: ecs.LoadBalancer, definition: ecs.TaskDefinition) -> None:
    arn = given.target_group_arn or ""
    group = state.target_groups.get(arn)
    if group is None or group.region != region:
        raise invalid_parameter(f"The target group with targetGroupArn {arn} does not exist.")
    mode = definition.network_mode or "bridge"
    if mode == "none":
        raise invalid_parameter("Load balancers are not supported with the none network mode of the task definition.")
    if group.target_type != ("ip" if mode == "awsvpc" else "instance"):
        raise invalid_parameter(
            f"The provided target group {arn} has target type {group.target_type}, which is incompatible with the "
            f"{mode} network mode specified in the task definition."
        )
    # A rule that is named stands for the load balancer: its weights are the service's to set.
    if given.advanced_configuration is None and TargetLookup(state).load_balancer(arn) is None:
        raise invalid_parameter(
            f"The target group with targetGroupArn {arn} does not have an associated load balancer."
        )


def _check_container(given: ecs.LoadBalancer, definition: ecs.TaskDefinition) -> None:
    name, port = given.container_name, given.container_port
    container = next((c for c in definition.container_definitions or () if c.name == name), None)
    if container is None:
        raise invalid_parameter(f"The container {name} does not exist in the task definition.")
    if not any(_maps(mapping, port or 0) for mapping in container.port_mappings or ()):
        raise invalid_parameter(f"The container {name} did not have a container port {port} defined.")


def _maps(mapping: ecs.PortMapping, port: int) -> bool:
    if mapping.container_port_range:
        first, _, last = mapping.container_port_range.partition("-")
        return int(first) <= port <= int(last)
    return mapping.container_port == port
