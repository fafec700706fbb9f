"""Which candidates may take a demand's tasks as far as tasks have no say in it.

Attributes, connection, status and constraints on these.  Many demands ask the same of them, so
that views share the answers; a candidate's answer never changes (see ``candidate``).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable

from openecs.planning.placement.candidate import Candidate
from openecs.planning.placement.demand import Demand, Scope
from openecs.planning.placement.filters import tests
from openecs.planning.placement.strategies import Level

Path = tuple[Hashable, ...]


class Eligible:
    """The candidates of a scope that pass the fixed filters, by their path through fixed levels."""

    def __init__(self, scope: Scope, demand: Demand, levels: tuple[Level, ...]) -> None:
        self._scope = scope
        self._tests = tests(demand, fixed=True)
        self._levels = levels
        self._paths: dict[Candidate, Path | None] = {}
        self._by_path: dict[Path, list[Candidate]] = {}
        self._version = -1

    def path(self, candidate: Candidate) -> Path | None:
        """The candidate's path, ``None`` when it is not eligible."""
        try:
            return self._paths[candidate]
        except KeyError:
            fits = self._scope.includes(candidate) and all(test(candidate) for test in self._tests)
            path = self._paths[candidate] = tuple(level.of(candidate) for level in self._levels) if fits else None
            return path

    def forget(self, candidate: Candidate) -> None:
        """A candidate is offered no more."""
        self._paths.pop(candidate, None)

    def by_path(self, candidates: Collection[Candidate], version: int) -> dict[Path, list[Candidate]]:
        """The eligible ones among all candidates; ``version`` changes when these become others."""
        if version == self._version:
            return self._by_path
        includes = self._scope.includes
        fitting = [candidate for candidate in candidates if includes(candidate)]
        for test in self._tests:
            fitting = [candidate for candidate in fitting if test(candidate)]
        self._paths = dict.fromkeys(candidates)
        self._by_path = found = {}
        if not self._levels:
            self._paths.update(dict.fromkeys(fitting, ()))
            found[()] = fitting
        elif len(self._levels) == 1:
            of = self._levels[0].of
            one: dict[Hashable, tuple[Path, list[Candidate]]] = {}
            for candidate in fitting:
                name = of(candidate)
                known = one.get(name)
                if known is None:
                    known = one[name] = ((name,), [])
                known[1].append(candidate)
            for path, members in one.values():
                found[path] = members
                self._paths.update(dict.fromkeys(members, path))
        else:
            for candidate in fitting:
                path = self._paths[candidate] = tuple(level.of(candidate) for level in self._levels)
                found.setdefault(path, []).append(candidate)
        self._version = version
        return found
