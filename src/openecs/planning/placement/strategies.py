"""Strategies as levels of a tree: what ECS compares first, second, and so on.

Each strategy keeps those candidates that it likes best and hands them to the next, so the
chosen candidate is the least one in the order of the strategies' scores; then the one with
the fewest tasks, then the first by name.  Candidates that share their scores so far share a
branch of the tree; within the last branch they are ordered by what is left to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from openecs.planning.placement.candidate import Candidate
from openecs.planning.placement.demand import Demand, Strategy


class Level(NamedTuple):
    """One level of branches.

    ``counted``: branches are domains, scored by the tasks of the group in them, wherever these
    run; otherwise a branch's score is its own value.  ``fixed``: a candidate keeps its branch.
    """

    of: Callable[[Candidate], Any]
    counted: bool
    fixed: bool
    #: Equal names mean equal levels.
    name: Hashable


class Order(NamedTuple):
    """What a demand's strategies come to."""

    levels: tuple[Level, ...]
    #: Makes the entry by which candidates of the last branch are ordered; ``None``: at random.
    entry: Callable[[Candidate], tuple[Any, ...]] | None


Score = Callable[[Candidate], int]


def order(demand: Demand) -> Order:
    """The levels and the last order of a demand."""
    levels: list[Level] = []
    scores: list[Score] = []
    for strategy in demand.strategies:
        if strategy.type == "random":
            # What follows has nothing left to choose from.
            return Order(tuple(levels + _by_value(scores)), None)
        score = _score(strategy, demand)
        if score is not None:
            scores.append(score)
            continue
        levels += _by_value(scores)
        scores = []
        levels.append(_zones(strategy.field) if strategy.type == "zones" else _domains(strategy.field))
    return Order(tuple(levels), _entry(scores))


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


def _domains(field: str) -> Level:
    """Branches by an attribute's value; without the attribute a candidate is in domain ''."""
    name = field.removeprefix("attribute:")
    return Level(lambda c: c.facts.attributes.get(name, ""), counted=True, fixed=True, name=name)


def _zones(field: str) -> Level:
    wanted = frozenset(field.split(","))
    return Level(lambda c: 0 if c.zone in wanted else 1, counted=False, fixed=True, name=("zones", field))


def _by_value(scores: list[Score]) -> list[Level]:
    """Scores that something else follows: branches by value."""
    if not scores:
        return []
    fixed = tuple(scores)
    return [Level(lambda c: tuple(score(c) for score in fixed), counted=False, fixed=False, name=None)]


def _entry(scores: list[Score]) -> Callable[[Candidate], tuple[Any, ...]]:
    """Entries compare by scores, tasks and name; the candidate itself comes last."""
    if not scores:
        return lambda c: (c.tasks, c.arn, c)
    if len(scores) == 1:
        first = scores[0]
        return lambda c: (first(c), c.tasks, c.arn, c)
    several = tuple(scores)
    return lambda c: (*[score(c) for score in several], c.tasks, c.arn, c)
