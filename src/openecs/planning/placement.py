"""Placement: on which node does a task run, and if nowhere, why not.

Filters in ECS's order, then the task's constraints, then the strategies in the order in
which they are listed.  Pure: candidates and a random source in, choices and explanations
out.  Candidates are copied amounts, so that a plan for several tasks sees its own effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from openecs.model.resources import Resources
from openecs.planning.cluster_query import Expression, InstanceFacts


@dataclass(slots=True)
class Candidate:
    """One node as one cluster (or the Fargate pool) offers it, with what is free on it."""

    node_id: str
    #: ``None`` in the Fargate pool.
    container_instance_arn: str | None
    accepts_tasks: bool
    connected: bool
    cpu: int
    memory: int
    gpus: int
    ports_taken: set[int]
    ports_udp_taken: set[int]
    facts: InstanceFacts
    tasks: int = 0
    #: Task group → live tasks of it here, for spread and distinctInstance.
    groups: dict[str, int] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """What a failure names."""
        return self.container_instance_arn or self.node_id


@dataclass(frozen=True, slots=True)
class Strategy:
    """One placement strategy: ``spread``, ``binpack`` or ``random``."""

    type: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What every task of a request needs."""

    group: str
    resources: Resources
    required_attributes: frozenset[str] = frozenset()
    #: ``arm64`` or ``x86_64`` when the definition's runtime platform names one.
    architecture: str | None = None
    constraints: tuple[Expression, ...] = ()
    distinct_instance: bool = False
    strategies: tuple[Strategy, ...] = ()


class Rejection(NamedTuple):
    """Why one candidate cannot take the task: AWS's failure reason."""

    candidate: Candidate
    reason: str


class Decision(NamedTuple):
    """A node for one task, or the reasons against every candidate."""

    chosen: Candidate | None
    rejections: tuple[Rejection, ...]


DISTINCT = "DistinctInstance placement constraint unsatisfied."
MEMBER_OF = "MemberOf placement constraint unsatisfied."

#: Reasons from "could not even ask" to "nearly fitted": the closest candidate is the one
#: that got furthest.
_ORDER = (
    "INACTIVE",
    "AGENT",
    "ATTRIBUTE",
    "RESOURCE:CPU",
    "RESOURCE:GPU",
    "RESOURCE:MEMORY",
    "RESOURCE:PORTS",
    MEMBER_OF,
    DISTINCT,
)


def place(demand: Demand, count: int, candidates: Sequence[Candidate], rng: random.Random) -> list[Decision]:
    """Decide for ``count`` equal tasks, one after the other.

    After the first task that fits nowhere the rest would not fit either: their decisions
    repeat its rejections.
    """
    decisions: list[Decision] = []
    for _ in range(count):
        decision = place_one(demand, candidates, rng)
        decisions.append(decision)
        if decision.chosen is None:
            decisions.extend(decision for _ in range(count - len(decisions)))
            break
        _take(decision.chosen, demand)
    return decisions


def place_one(demand: Demand, candidates: Sequence[Candidate], rng: random.Random) -> Decision:
    """Decide for one task; takes nothing from the chosen candidate."""
    fitting: list[Candidate] = []
    rejections: list[Rejection] = []
    for candidate in candidates:
        reason = explain(demand, candidate)
        if reason is None:
            fitting.append(candidate)
        else:
            rejections.append(Rejection(candidate, reason))
    if not fitting:
        return Decision(None, tuple(rejections))
    for strategy in demand.strategies:
        fitting = _best(strategy, demand, fitting, candidates, rng)
    chosen = min(fitting, key=lambda c: (c.tasks, c.arn))
    return Decision(chosen, tuple(rejections))


def explain(demand: Demand, candidate: Candidate) -> str | None:
    """Why this candidate cannot take the task, ``None`` when it can."""
    needed = demand.resources
    if not candidate.accepts_tasks:
        return "INACTIVE"
    if not candidate.connected:
        return "AGENT"
    if not demand.required_attributes <= candidate.facts.attributes.keys():
        return "ATTRIBUTE"
    if demand.architecture and candidate.facts.attributes.get("ecs.cpu-architecture") != demand.architecture:
        return "ATTRIBUTE"
    if needed.cpu > candidate.cpu:
        return "RESOURCE:CPU"
    if needed.gpus > candidate.gpus:
        return "RESOURCE:GPU"
    if needed.memory > candidate.memory:
        return "RESOURCE:MEMORY"
    if not candidate.ports_taken.isdisjoint(needed.ports):
        return "RESOURCE:PORTS"
    if not candidate.ports_udp_taken.isdisjoint(needed.ports_udp):
        return "RESOURCE:PORTS"
    if any(not constraint.matches(candidate.facts) for constraint in demand.constraints):
        return MEMBER_OF
    if demand.distinct_instance and candidate.groups.get(demand.group):
        return DISTINCT
    return None


def closest(rejections: Iterable[Rejection]) -> Rejection | None:
    """The rejection of the candidate that came nearest to taking the task."""
    return max(rejections, key=lambda rejection: _ORDER.index(rejection.reason), default=None)


def _take(candidate: Candidate, demand: Demand) -> None:
    needed = demand.resources
    candidate.cpu -= needed.cpu
    candidate.memory -= needed.memory
    candidate.gpus -= needed.gpus
    candidate.ports_taken.update(needed.ports)
    candidate.ports_udp_taken.update(needed.ports_udp)
    candidate.tasks += 1
    candidate.groups[demand.group] = candidate.groups.get(demand.group, 0) + 1


def _best(
    strategy: Strategy,
    demand: Demand,
    fitting: list[Candidate],
    everywhere: Sequence[Candidate],
    rng: random.Random,
) -> list[Candidate]:
    """Those of the fitting candidates that one strategy likes best."""
    if strategy.type == "random":
        return [rng.choice(fitting)]
    score: Callable[[Candidate], int]
    if strategy.type == "binpack":
        needed = demand.resources
        if strategy.field.lower() == "cpu":
            score = lambda c: c.cpu - needed.cpu  # noqa: E731 -- one of three short scores
        else:
            score = lambda c: c.memory - needed.memory  # noqa: E731
    else:
        # A domain's count includes its tasks on nodes that cannot take another one.
        counts: dict[str, int] = {}
        for candidate in everywhere:
            domain = _domain(strategy.field, candidate)
            counts[domain] = counts.get(domain, 0) + candidate.groups.get(demand.group, 0)
        score = lambda c: counts[_domain(strategy.field, c)]  # noqa: E731
    best = min(score(candidate) for candidate in fitting)
    return [candidate for candidate in fitting if score(candidate) == best]


def _domain(field_name: str, candidate: Candidate) -> str:
    if field_name.lower() in ("instanceid", "host"):
        return candidate.arn
    return candidate.facts.attributes.get(field_name.removeprefix("attribute:"), "")
