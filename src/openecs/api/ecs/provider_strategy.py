"""Capacity provider strategies: checked, filled in, and turned into a launch type.

Used by everything that takes a strategy: clusters (their default), RunTask, services and
task sets.  What the strategy then means for a number of tasks is
``openecs.planning.provider_shares``.
"""

from __future__ import annotations

from typing import Literal, cast

from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.model.capacity_provider import FARGATE_PROVIDERS
from openecs.model.cluster import Cluster
from openecs.planning.provider_shares import fargate_only
from openecs.shapes import ecs
from openecs.state.state import State

LaunchType = Literal["EC2", "FARGATE", "EXTERNAL"]
Strategy = tuple[ecs.CapacityProviderStrategyItem, ...]

MAX_ITEMS = 20


def resolve(
    state: State, cluster: Cluster, launch_type: str | None, strategy: Strategy | None
) -> tuple[Strategy, LaunchType]:
    """What a request's ``launchType`` and ``capacityProviderStrategy`` (absent or empty: none) mean.

    Returns the strategy in AWS's full form (weight and base filled in; empty: none is used) and
    the launch type of the tasks.  With neither given the cluster's default strategy holds, and
    without one the launch type EC2.  Raises ``InvalidParameterException``.
    """
    if strategy and launch_type:
        raise invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if launch_type == "MANAGED_INSTANCES":
        raise not_supported("launchType MANAGED_INSTANCES")
    if launch_type:
        return (), cast("LaunchType", launch_type)
    if strategy:
        checked = check(state, cluster.region, cluster.capacity_providers, strategy)
        whose = "specified"
    else:
        checked = cluster.default_capacity_provider_strategy
        whose = "default"
    if not checked:
        return (), "EC2"
    if not any(item.weight for item in checked):
        raise invalid_parameter(
            f"There are no capacity providers with a weight value greater than zero defined in the {whose} capacity "
            "provider strategy. At least one capacity provider must have a weight value greater than zero specified. "
            "Update the cluster's default capacity provider strategy or specify a valid capacity provider strategy "
            "and try again."
        )
    return checked, "FARGATE" if fargate_only(checked) else "EC2"


def check(state: State, region: str, attached: tuple[str, ...], strategy: Strategy) -> Strategy:
    """The strategy with weights and bases filled in.

    ``attached`` are the names of the cluster's capacity providers; a strategy may use no other.
    """
    if len(strategy) > MAX_ITEMS:
        raise invalid_parameter(
            f"The specified capacity provider strategy can contain at most {MAX_ITEMS} capacity providers."
        )
    names = [item.capacity_provider for item in strategy]
    if not all(names):
        raise invalid_parameter("The name of a capacity provider in a capacity provider strategy can not be empty.")
    if len(set(names)) != len(names):
        raise invalid_parameter("A capacity provider strategy cannot contain duplicate capacity providers.")
    for item in strategy:
        _check_range("weight", item.weight, 1000)
        _check_range("base", item.base, 100_000)
    if sum(bool(item.base) for item in strategy) > 1:
        raise invalid_parameter(
            "A capacity provider strategy can have only one capacity provider with a base value. Specify a base for "
            "one capacity provider and try again."
        )
    for name in names:
        if name not in attached:
            raise not_associated()
        if name not in FARGATE_PROVIDERS and find(state, region, name) is None:
            raise not_found()
    if len({name in FARGATE_PROVIDERS for name in names}) > 1:
        raise invalid_parameter(
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and "
            "Fargate providers. Specify one or the other and try again."
        )
    return filled_in(strategy)


def filled_in(strategy: Strategy) -> Strategy:
    """The strategy with every weight and base said, 0 where nothing was."""
    return tuple(
        ecs.CapacityProviderStrategyItem(
            capacity_provider=item.capacity_provider, weight=item.weight or 0, base=item.base or 0
        )
        for item in strategy
    )


def find(state: State, region: str, name: str) -> str | None:
    """The ARN of the ACTIVE Auto Scaling group provider of that name."""
    for provider in state.capacity_providers.by("region", region):
        if provider.name == name and provider.status == "ACTIVE":
            return provider.arn
    return None


def not_found() -> AWSError:
    """A provider that does not exist was named for a cluster."""
    return invalid_parameter(
        "The specified capacity provider was not found. Specify a valid capacity provider and try again."
    )


def not_associated() -> AWSError:
    """A provider that the cluster does not have was named in a strategy."""
    return invalid_parameter(
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the "
        "cluster. Associate the capacity provider with the cluster or specify a valid capacity provider and try again."
    )


def _check_range(member: str, value: int | None, maximum: int) -> None:
    if value is not None and not 0 <= value <= maximum:
        raise invalid_parameter(f"The {member} of a capacity provider must be between 0 and {maximum}.")
