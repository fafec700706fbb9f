"""How many of a number of new tasks go to which capacity provider of a strategy.  Pure.

First the provider with a base gets its base; the rest is shared by weight, so that what runs
beyond the base is as near to the ratio of the weights as whole tasks allow, at every moment
and not only over one request.  A provider with weight 0 gets its base and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openecs.model.capacity_provider import FARGATE_PROVIDERS
from openecs.shapes import ecs


def shares(
    strategy: Iterable[ecs.CapacityProviderStrategyItem], count: int, there: Mapping[str, int]
) -> dict[str, int]:
    """Provider name → how many of ``count`` new tasks it gets; providers without any are left out.

    ``there`` says how many tasks that the same strategy placed each provider has already.
    """
    given: dict[str, int] = {}
    beyond: dict[str, int] = {}
    weights: dict[str, int] = {}
    for item in strategy:
        name, base, now = item.capacity_provider, item.base or 0, there.get(item.capacity_provider, 0)
        missing = min(max(base - now, 0), count)
        if missing:
            given[name] = missing
            count -= missing
        if item.weight:
            weights[name] = item.weight
            beyond[name] = max(now - base, 0)
    if not weights:
        return given
    if not any(beyond.values()):
        # Whole rounds of the weights need no counting.
        rounds, count = divmod(count, sum(weights.values()))
        for name, weight in weights.items():
            beyond[name] = rounds * weight
            if rounds:
                given[name] = given.get(name, 0) + beyond[name]
    for _ in range(count):
        # The provider that is furthest behind its part (Sainte-Laguë); of equals the first one named.
        name = min(weights, key=lambda name: (2 * beyond[name] + 1) / weights[name])
        beyond[name] += 1
        given[name] = given.get(name, 0) + 1
    return given


def fargate_only(strategy: Iterable[ecs.CapacityProviderStrategyItem]) -> bool:
    """Whether a strategy places tasks on Fargate; one never mixes Fargate and container instances."""
    return all(item.capacity_provider in FARGATE_PROVIDERS for item in strategy)
