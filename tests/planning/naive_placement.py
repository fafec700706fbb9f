"""Placement as one would write it without any thought for speed: what the real one must equal.

Looks at every candidate for every task, strategy by strategy.
"""

from __future__ import annotations

from collections.abc import Collection

from openecs.planning.placement import Candidate, Demand, Strategy, explain


def admissible(demand: Demand, everywhere: Collection[Candidate], offered: Collection[Candidate]) -> list[Candidate]:
    """The candidates that may be chosen: one, or, when a strategy is random, those it draws from.

    ``everywhere`` are those whose tasks count for spreading, ``offered`` those of the scope.
    """
    fitting = [candidate for candidate in offered if explain(demand, candidate) is None]
    if not fitting:
        return []
    for strategy in demand.strategies:
        if strategy.type == "random":
            return fitting
        fitting = _best(strategy, demand, fitting, everywhere)
    return [min(fitting, key=lambda c: (c.tasks, c.arn))]


def take(candidate: Candidate, demand: Demand) -> None:
    """Put one task there."""
    needed = demand.resources
    candidate.cpu -= needed.cpu
    candidate.memory -= needed.memory
    candidate.gpus -= needed.gpus
    candidate.ports_taken = {*candidate.ports_taken, *needed.ports}
    candidate.ports_udp_taken = {*candidate.ports_udp_taken, *needed.ports_udp}
    candidate.tasks += 1
    candidate.groups[demand.group] = candidate.groups.get(demand.group, 0) + 1


def free(candidate: Candidate, demand: Demand) -> None:
    """Take one task away."""
    needed = demand.resources
    candidate.cpu += needed.cpu
    candidate.memory += needed.memory
    candidate.gpus += needed.gpus
    candidate.ports_taken = {*candidate.ports_taken} - {*needed.ports}
    candidate.ports_udp_taken = {*candidate.ports_udp_taken} - {*needed.ports_udp}
    candidate.tasks -= 1
    candidate.groups[demand.group] -= 1
    if not candidate.groups[demand.group]:
        del candidate.groups[demand.group]


def _best(
    strategy: Strategy, demand: Demand, fitting: list[Candidate], everywhere: Collection[Candidate]
) -> list[Candidate]:
    scores = [_score(strategy, demand, candidate, everywhere) for candidate in fitting]
    return [candidate for candidate, score in zip(fitting, scores, strict=True) if score == min(scores)]


def _score(strategy: Strategy, demand: Demand, candidate: Candidate, everywhere: Collection[Candidate]) -> int:
    if strategy.type == "zones":
        return 0 if candidate.zone in strategy.field.split(",") else 1
    if strategy.type == "binpack":
        needed = demand.resources
        if strategy.field.lower() == "cpu":
            return candidate.cpu - needed.cpu
        return candidate.memory - needed.memory
    domain = _domain(strategy.field, candidate)
    # A domain's count includes its tasks on nodes that cannot take another one.
    return sum(c.groups.get(demand.group, 0) for c in everywhere if _domain(strategy.field, c) == domain)


def _domain(field: str, candidate: Candidate) -> str:
    if field.lower() in ("instanceid", "host"):
        return candidate.arn
    return candidate.facts.attributes.get(field.removeprefix("attribute:"), "")
