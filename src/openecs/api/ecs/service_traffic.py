"""Which target groups and rules a service shifts traffic with: what is checked, and what a deployment gets.

Reads state, writes nothing.
"""

from __future__ import annotations

from openecs.control import listener_actions
from openecs.errors import invalid_parameter
from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener
from openecs.model.service import Deployment, Service
from openecs.planning import forward_weights, target_slots
from openecs.shapes import ecs
from openecs.state.state import State


def check_advanced(state: State, given: ecs.LoadBalancer) -> None:
    """Check the ``advancedConfiguration`` of a load balancer whose own target group is known to exist."""
    advanced = given.advanced_configuration
    if advanced is None:
        return
    own, other = given.target_group_arn or "", advanced.alternate_target_group_arn
    if not other:
        raise invalid_parameter("advancedConfiguration.alternateTargetGroupArn can not be blank.")
    if not advanced.production_listener_rule:
        raise invalid_parameter("advancedConfiguration.productionListenerRule can not be blank.")
    first, second = state.target_groups.get(own), state.target_groups.get(other)
    if second is None or first is None or second.region != first.region:
        raise invalid_parameter(f"The target group with targetGroupArn {other} does not exist.")
    if own == other:
        raise invalid_parameter("The alternate target group must differ from the target group.")
    for member in ("target_type", "protocol", "protocol_version", "vpc_id"):
        if getattr(first, member) != getattr(second, member):
            raise invalid_parameter(
                f"The target groups {own} and {other} must have the same target type, protocol, protocol version "
                "and VPC."
            )
    balancer = _check_rule(state, "productionListenerRule", advanced.production_listener_rule, {own, other})
    test = advanced.test_listener_rule
    if test:
        if _identity(test) == _identity(advanced.production_listener_rule):
            raise invalid_parameter("testListenerRule and productionListenerRule must differ.")
        if _check_rule(state, "testListenerRule", test, {own, other}) != balancer:
            raise invalid_parameter("testListenerRule and productionListenerRule must be of one load balancer.")
    for group in (own, other):
        if state.balancer_usage.load_balancer(group) not in (None, balancer):
            raise invalid_parameter(f"The target group {group} is used by another load balancer.")


def check_strategy(
    strategy: str | None, load_balancers: tuple[ecs.LoadBalancer, ...], connect: ecs.ServiceConnectConfiguration | None
) -> None:
    """Whether a service with these load balancers can shift traffic as ``strategy`` says."""
    if strategy in (None, "ROLLING"):
        return
    offers = connect is not None and connect.enabled and bool(connect.services)
    if strategy != "BLUE_GREEN" and not load_balancers and not offers:
        raise invalid_parameter(f"The {strategy} deployment strategy requires a load balancer or Service Connect.")
    if any(one.advanced_configuration is None for one in load_balancers):
        raise invalid_parameter(
            f"advancedConfiguration is required for every load balancer with the {strategy} deployment strategy."
        )


def check_change(state: State, service: Service, strategy: str | None) -> None:
    """Refuse to go back to rolling deployments while traffic may be divided between two revisions."""
    record = state.service_deployments.get(service.service_deployment_arn or "")
    if strategy != "ROLLING" or record is None or record.shift is None:
        return
    primary = service.primary
    if not record.finished or (primary is not None and primary.rollout_state == "FAILED"):
        raise invalid_parameter(
            "The deployment strategy cannot be changed to ROLLING while a deployment that shifts traffic is under way "
            "or has stopped half way. Wait for its end, or stop it with ROLLBACK, and try again."
        )


def takes_alternate(service: Service, wanted: Deployment, strategy: str | None) -> bool:
    """Whether the tasks of a new deployment go into the alternate target groups.

    With a rolling deployment they go where those in production are, else where these are not.
    """
    base = target_slots.base(service) or service.last_completed
    serving = target_slots.groups(target_slots.of(base)) if base is not None else set()
    rolling = strategy in (None, "ROLLING")
    places: set[bool] = set()
    for one in wanted.load_balancers:
        advanced = one.advanced_configuration
        own = one.target_group_arn in serving
        if advanced is None:
            shifted = base is not None and any(b.advanced_configuration is not None for b in base.load_balancers)
            if rolling and shifted and not own:
                raise invalid_parameter(
                    f"The target group {one.target_group_arn} gets no production traffic now. Use the one that does: "
                    f"{', '.join(sorted(serving))}."
                )
            continue
        alternate = advanced.alternate_target_group_arn in serving
        if own != alternate:
            places.add(alternate if rolling else own)
    if len(places) > 1:
        raise invalid_parameter(
            "The service's tasks are in the target group of one load balancer and in the alternate target group of "
            "another one. Exchange the two in advancedConfiguration of one of them."
        )
    return places == {True}


def _check_rule(state: State, member: str, arn: str, pair: set[str]) -> str:
    """The ARN of the rule's load balancer."""
    found = listener_actions.find(state, arn)
    if found is None:
        raise invalid_parameter(f"The {member} {arn} does not exist.")
    balancer = state.load_balancers.get(balancer_arns.load_balancer_of(arn))
    if balancer is None:
        raise invalid_parameter(f"The load balancer of the {member} {arn} does not exist.")
    if balancer.type == "application" and balancer_arns.kind_of(arn) == "listener":
        raise invalid_parameter(f"{member} must be the ARN of a listener rule for an Application Load Balancer.")
    if balancer.type == "network" and balancer_arns.kind_of(arn) != "listener":
        raise invalid_parameter(f"{member} must be the ARN of a listener for a Network Load Balancer.")
    actions = found.default_actions if isinstance(found, Listener) else found.actions
    groups = forward_weights.forwarded(actions)
    if groups is None:
        raise invalid_parameter(f"The {member} {arn} must have a forward action.")
    if not groups <= pair:
        raise invalid_parameter(
            f"The {member} {arn} must forward to the target group or the alternate target group of the load balancer "
            "and to no other one."
        )
    return balancer.arn


def _identity(arn: str) -> str:
    """The same for a listener and its default rule."""
    return balancer_arns.default_rule(arn) if balancer_arns.kind_of(arn) == "listener" else arn
