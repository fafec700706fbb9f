"""One demand's view of the candidates: who fits, in the order of its strategies.

A view is built once and then only told which candidates changed: finding the best node and
taking a change in both cost about the logarithm of the number of candidates.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from typing import Any

from openecs.planning.placement.candidate import Candidate
from openecs.planning.placement.demand import Demand, Scope
from openecs.planning.placement.eligible import Eligible, Path
from openecs.planning.placement.filters import Rejection, narrow, tests
from openecs.planning.placement.strategies import Order
from openecs.planning.placement.tree import Branch, Entry, Leaf, Node, RandomLeaf, best


class View:
    """Those candidates that fit a demand."""

    def __init__(self, scope: Scope, demand: Demand, order: Order, eligible: Eligible, rng: random.Random) -> None:
        self.scope = scope
        self.demand = demand
        self.eligible = eligible
        #: Position in the log of changes that the view has reached; its owner's business, as is
        #: what was explained at which position.
        self.position = 0
        self.explained: tuple[int, tuple[Rejection, ...]] | None = None
        self._group = demand.group
        self._tests = tests(demand, "tasks")
        self._levels = order.levels
        self._entry = order.entry
        self._fixed = all(level.fixed for level in order.levels)
        self._rng = rng
        self._counted = [depth for depth, level in enumerate(order.levels) if level.counted]
        #: Candidates that fit, with their entries (in random order: none).
        self._current: dict[Candidate, Entry] = {}
        #: Their leaves, when these change.
        self._where: dict[Candidate, Node] = {}
        #: Tasks of the group as they were counted, by candidate, and by level and domain.
        self._seen: dict[Candidate, int] = {}
        self._counts: list[dict[Hashable, int]] = []
        self._domains: list[dict[Hashable, list[Node]]] = []
        self._nodes = 0

    def build(self, members: dict[Path, list[Candidate]], holders: Iterable[Candidate] | None = None) -> None:
        """Start anew with the eligible candidates.

        ``holders`` have tasks of the demand's group; ``None`` when these have been recounted.
        """
        self._current = {}
        self._where = {}
        #: The nodes of each counted level's domains.
        self._domains = [{} for _ in self._levels]
        self._nodes = 0
        self._root = self._node(None, 0, "", 0)
        if holders is not None:
            self._count(holders)
        for path, eligible in members.items():
            fitting = narrow(self.demand, eligible)
            if not fitting:
                continue
            leaf = self._leaf(path) if self._fixed else None
            if isinstance(leaf, Leaf) and self._entry is not None:
                entries = list(map(self._entry, fitting))
                self._current.update(zip(fitting, entries, strict=True))
                leaf.fill(entries)
                leaf.show()
            else:
                for candidate in fitting:
                    self._put(candidate, path)

    def _count(self, holders: Iterable[Candidate]) -> None:
        """Count the tasks of the group from nothing."""
        self._seen = {candidate: candidate.groups[self._group] for candidate in holders} if self._counted else {}
        self._counts = [{} for _ in self._levels]
        for depth in self._counted:
            of, counts = self._levels[depth].of, self._counts[depth]
            for candidate, tasks in self._seen.items():
                domain = of(candidate)
                counts[domain] = counts.get(domain, 0) + tasks

    @property
    def fitting(self) -> int:
        """How many candidates fit at present."""
        return len(self._current)

    @property
    def crowded(self) -> bool:
        """Whether so many branches are empty that the view should be built anew."""
        return self._nodes > 1024 + 4 * len(self._current)

    def best(self) -> Candidate | None:
        """The candidate that the strategies like best."""
        return best(self._root)

    def recount(self, candidate: Candidate) -> list[Node]:
        """Take in how many tasks of the group a candidate has now; ``build`` or ``show`` follows."""
        now = candidate.groups.get(self._group, 0) if candidate.offered else 0
        if not self._counted or now == self._seen.get(candidate, 0):
            return []
        by = now - self._seen.pop(candidate, 0)
        if now:
            self._seen[candidate] = now
        rescored: list[Node] = []
        for depth in self._counted:
            domain = self._levels[depth].of(candidate)
            counts = self._counts[depth]
            score = counts[domain] = counts.get(domain, 0) + by
            for node in self._domains[depth].get(domain, ()):
                node.score = score
                rescored.append(node)
        return rescored

    def refresh(self, candidate: Candidate) -> None:
        """Take a change of one candidate in: its amounts, its tasks, or that it is offered no more."""
        rescored = self.recount(candidate)
        path = self.eligible.path(candidate) if candidate.offered else None
        if path is not None:
            for test in self._tests:
                if not test(candidate):
                    path = None
                    break
        if path is not None:
            self._put(candidate, path)
        elif candidate in self._current:
            self._remove(candidate)
        if not candidate.offered:
            self.eligible.forget(candidate)
        for node in rescored:
            node.show()

    def _put(self, candidate: Candidate, path: Path) -> None:
        """A candidate that fits, as before or not."""
        known = candidate in self._current
        if self._fixed:
            leaf = self._leaf(path)
        else:
            leaf = self._leaf(tuple([level.of(candidate) for level in self._levels]))
            if known and self._where[candidate] is not leaf:
                self._remove(candidate)
                known = False
            self._where[candidate] = leaf
        if isinstance(leaf, Leaf):
            assert self._entry is not None  # noqa: S101 -- ordered leaves have an order
            entry = self._entry(candidate)
            if known and entry == self._current[candidate]:
                return
            self._current[candidate] = entry
            leaf.put(entry, new=not known)
        elif isinstance(leaf, RandomLeaf):
            self._current[candidate] = ()
            leaf.put(candidate, new=not known)
        leaf.show()

    def _remove(self, candidate: Candidate) -> None:
        """A candidate that fits no more."""
        del self._current[candidate]
        if self._fixed:
            path = self.eligible.path(candidate)
            assert path is not None  # noqa: S101 -- what fitted was eligible, and that does not change
            leaf = self._leaf(path)
        else:
            leaf = self._where.pop(candidate)
        if isinstance(leaf, Leaf | RandomLeaf):
            leaf.drop(candidate)
        leaf.show()

    def _leaf(self, path: Path) -> Node:
        """The leaf at the end of a path, made with its branches if there is none."""
        node = self._root
        for depth, name in enumerate(path):
            assert isinstance(node, Branch)  # noqa: S101 -- paths are as long as there are levels
            child = node.children.get(name)
            if child is None:
                level = self._levels[depth]
                score = self._counts[depth].get(name, 0) if level.counted else name
                child = node.children[name] = self._node(node, depth + 1, name, score)
                if level.counted:
                    self._domains[depth].setdefault(name, []).append(child)
            node = child
        return node

    def _node(self, parent: Branch | None, depth: int, name: Hashable, score: Any) -> Node:
        self._nodes += 1
        if depth < len(self._levels):
            return Branch(parent, name, score)
        if self._entry is None:
            return RandomLeaf(parent, name, score, self._rng)
        return Leaf(parent, name, score, self._current)
