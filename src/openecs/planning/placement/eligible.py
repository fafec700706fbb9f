"""Which candidates may take a demand's tasks as far as tasks have no say in it.

Attributes, connection, status and constraints on these.  Many demands ask the same of them, so
that views share the answers; a candidate's answer never changes (see ``candidate``), and most
answers hold for all candidates of a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable

from openecs.planning.placement.candidate import Candidate, Kind
from openecs.planning.placement.demand import Demand, Scope
from openecs.planning.placement.filters import tests
from openecs.planning.placement.strategies import Level

Path = tuple[Hashable, ...]


class Eligible:
    """The candidates of a scope that pass the fixed filters, by their path through fixed levels."""

    def __init__(self, scope: Scope, demand: Demand, levels: tuple[Level, ...]) -> None:
        self._scope = scope
        self._of_kind = tests(demand, "kind")
        self._of_node = tests(demand, "node")
        self._levels = levels
        #: Whether candidates of a kind have one path.
        self._alike = not self._of_node and all(level.shared for level in levels)
        self._kinds: dict[Kind, bool | Path] = {}
        self._paths: dict[Candidate, Path | None] = {}
        self._by_path: dict[Path, list[Candidate]] = {}
        self._version = -1

    def path(self, candidate: Candidate) -> Path | None:
        """The candidate's path, ``None`` when it is not eligible."""
        kind = self._kinds.get(candidate.kind)
        if kind is None:
            kind = self._judge(candidate)
        if kind is False:
            return None
        if kind is not True:
            return kind
        if candidate not in self._paths:
            fits = all(test(candidate) for test in self._of_node)
            self._paths[candidate] = self._walk(candidate) if fits else None
        return self._paths[candidate]

    def forget(self, candidate: Candidate) -> None:
        """A candidate is offered no more."""
        self._paths.pop(candidate, None)

    def by_path(self, kinds: Collection[Kind], version: int) -> dict[Path, list[Candidate]]:
        """The eligible ones among all candidates; ``version`` changes when these become others."""
        if version == self._version:
            return self._by_path
        found: dict[Path, list[Candidate]] = {}
        self._kinds.clear()
        self._paths.clear()
        for kind in kinds:
            answer = self._judge(next(iter(kind.members)))
            if answer is False:
                continue
            if answer is not True:
                found.setdefault(answer, []).extend(kind.members)
                continue
            fitting = list(kind.members)
            for test in self._of_node:
                fitting = [candidate for candidate in fitting if test(candidate)]
            self._paths.update(dict.fromkeys(kind.members))
            for candidate in fitting:
                path = self._paths[candidate] = self._walk(candidate)
                found.setdefault(path, []).append(candidate)
        self._by_path = found
        self._version = version
        return found

    def _judge(self, candidate: Candidate) -> bool | Path:
        """False for a kind that is not eligible, its path if it has one, True if its members differ."""
        fits = self._scope.includes(candidate) and all(test(candidate) for test in self._of_kind)
        answer = self._kinds[candidate.kind] = self._walk(candidate) if fits and self._alike else fits
        return answer

    def _walk(self, candidate: Candidate) -> Path:
        return tuple([level.of(candidate) for level in self._levels])
