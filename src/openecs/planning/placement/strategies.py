"""Strategies as levels of a tree: what ECS compares first, second, and so on.

Each strategy keeps those candidates that it likes best and hands them to the next, so the
chosen candidate is the least one in the order of the strategies' scores; then the one with
the fewest tasks, then the first by name.  Candidates that share their scores so far share a
branch of the tree; within the last branch they are ordered by what is left to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from openecs.planning.placement.candidate import SHARED_ATTRIBUTES, Candidate
from openecs.planning.placement.demand import Demand, Strategy

Score = Callable[[Candidate], int]
MakeEntry = Callable[[Candidate], tuple[Any, ...]]


class Level(NamedTuple):
    """One level of branches.

    ``counted``: branches are domains, scored by the tasks of the group in them, wherever these
    run; otherwise a branch's score is its own value.  ``fixed``: a candidate keeps its branch.
    ``shared``: candidates of one kind are in one branch.
    """

    of: Callable[[Candidate], Any]
    counted: bool
    fixed: bool
    shared: bool
    #: Equal names mean equal levels.
    name: Hashable


class Order(NamedTuple):
    """What a demand's strategies come to."""

    levels: tuple[Level, ...]
    #: Makes the entry by which candidates of the last branch are ordered; ``None``: at random.
    entry: MakeEntry | None


def order(demand: Demand) -> Order:
    """The levels and the last order of a demand."""
    levels: list[Level] = []
    left: list[Strategy] = []
    for strategy in demand.strategies:
        if strategy.type == "random":
            # What follows has nothing left to choose from.
            return Order(tuple(levels + _by_value(left, demand)), None)
        if _score(strategy, demand) is not None:
            left.append(strategy)
            continue
        levels += _by_value(left, demand)
        left = []
        levels.append(_zones(strategy.field) if strategy.type == "zones" else _domains(strategy.field))
    return Order(tuple(levels), _entry(left, demand))


def _score(strategy: Strategy, demand: Demand) -> Score | None:
    """A strategy that scores each candidate by itself, or ``None``."""
    if strategy.type == "binpack":
        # Least left over is least free, since all tasks of a demand need the same.
        if strategy.field.lower() == "cpu":
            return lambda c: c.cpu
        return lambda c: c.memory
    if strategy.type == "spread" and strategy.field.lower() in ("instanceid", "host"):
        group = demand.group
        return lambda c: c.groups.get(group, 0)
    return None


def _scores(strategies: list[Strategy], demand: Demand) -> tuple[Score, ...]:
    return tuple(score for each in strategies if (score := _score(each, demand)) is not None)


def _domains(field: str) -> Level:
    """Branches by an attribute's value; without the attribute a candidate is in domain ''."""
    name = field.removeprefix("attribute:")
    shared = name in SHARED_ATTRIBUTES
    return Level(lambda c: c.facts.attributes.get(name, ""), counted=True, fixed=True, shared=shared, name=name)


def _zones(field: str) -> Level:
    wanted = frozenset(field.split(","))
    return Level(lambda c: 0 if c.zone in wanted else 1, counted=False, fixed=True, shared=True, name=("zones", field))


def _by_value(strategies: list[Strategy], demand: Demand) -> list[Level]:
    """Scores that something else follows: branches by value."""
    scores = _scores(strategies, demand)
    if not scores:
        return []
    of = lambda c: tuple([score(c) for score in scores])  # noqa: E731 -- one more of these small functions
    return [Level(of, counted=False, fixed=False, shared=False, name=None)]


def _entry(strategies: list[Strategy], demand: Demand) -> MakeEntry:
    """Entries compare by scores, tasks and name; the candidate itself comes last.

    A new view makes one for every candidate: the usual ones are made without another call.
    """
    group = demand.group
    if not strategies:
        return lambda c: (c.tasks, c.arn, c)
    if len(strategies) == 1:
        only = strategies[0]
        if only.type == "spread":
            return lambda c: (c.groups.get(group, 0), c.tasks, c.arn, c)
        if only.field.lower() == "cpu":
            return lambda c: (c.cpu, c.tasks, c.arn, c)
        return lambda c: (c.memory, c.tasks, c.arn, c)
    scores = _scores(strategies, demand)
    return lambda c: (*[score(c) for score in scores], c.tasks, c.arn, c)
