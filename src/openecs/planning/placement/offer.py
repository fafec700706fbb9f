"""The candidates of one cluster, or of the Fargate pool, kept ready for placement.

Whoever owns the candidates says what changed; each demand's view catches up when it is next
asked.  A view that nobody asks costs nothing, and only the views used last are kept.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Hashable

from openecs.planning.placement.candidate import Candidate, Kind
from openecs.planning.placement.demand import Demand, Scope
from openecs.planning.placement.eligible import Eligible
from openecs.planning.placement.filters import Rejection, explain_all, expressions
from openecs.planning.placement.strategies import Order, order
from openecs.planning.placement.view import View

#: Views that are kept at most, and candidates in all of them together: some 250 bytes each.
MAX_VIEWS = 64
MAX_ENTRIES = 200_000
#: Eligible sets that are kept for new views.
MAX_ELIGIBLE = 16


class Offer:
    """Candidates, and the views of them.

    ``few`` changes are always taken in one by one, and ``log`` changes always remembered; more
    of both the more candidates there are.
    """

    def __init__(self, *, few: int = 16, log: int = 1024) -> None:
        self._few = few
        self._log_size = log
        self._candidates: dict[str, Candidate] = {}
        self._kinds: dict[Hashable, Kind] = {}
        #: Changed candidates in the order of their changes, from position ``_log_start`` on.
        self._log: list[Candidate] = []
        self._log_start = 0
        #: +1 when a candidate comes or goes.
        self._version = 0
        self._views: OrderedDict[tuple[Scope, Demand], View] = OrderedDict()
        self._eligible: OrderedDict[Hashable, Eligible] = OrderedDict()
        #: Task group → candidates that have tasks of it.
        self._holders: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def get(self, arn: str) -> Candidate | None:
        """The candidate of that name."""
        return self._candidates.get(arn)

    def candidates(self, scope: Scope) -> list[Candidate]:
        """All candidates of a scope, whether they take tasks or not."""
        return [candidate for candidate in self._candidates.values() if scope.includes(candidate)]

    def replace(self, arn: str, candidate: Candidate | None) -> None:
        """Another candidate, or none, stands for a node."""
        old = self._candidates.pop(arn, None)
        if old is not None:
            old.offered = False
            self.changed(old)
            for group in old.groups:
                self._held(group, arn, 0)
            self._leave(old)
        if candidate is not None:
            self._candidates[arn] = candidate
            self._join(candidate)
            self.changed(candidate)
            for group, tasks in candidate.groups.items():
                self._held(group, arn, tasks)
        self._version += 1

    def changed(self, candidate: Candidate) -> None:
        """A candidate's amounts or tasks changed."""
        if not self._views:
            return
        log = self._log
        log.append(candidate)
        if len(log) > 8 * len(self._candidates) + self._log_size:
            # Views that are further behind are built anew.
            half = len(log) // 2
            self._log_start += half
            del log[:half]

    def group_changed(self, candidate: Candidate, group: str) -> None:
        """A candidate has another number of tasks of a group (say ``changed``, too)."""
        self._held(group, candidate.arn, candidate.groups.get(group, 0))

    def view(self, scope: Scope, demand: Demand, rng: random.Random) -> View:
        """The view of a demand, for ``best`` and ``explain``.  ``rng`` draws for new views."""
        view = self._views.get((scope, demand))
        if view is None:
            return self._new_view(scope, demand, rng)
        self._views.move_to_end((scope, demand))
        return view

    def best(self, view: View) -> Candidate | None:
        """The candidate that suits the view's demand best now, ``None`` when none fits."""
        end = self._log_start + len(self._log)
        behind = end - view.position
        if behind == 1:
            view.refresh(self._log[-1])
        elif view.position < self._log_start:
            self._build(view)
        elif behind:
            self._catch_up(view, dict.fromkeys(self._log[view.position - self._log_start :]))
        view.position = end
        return view.best()

    def _catch_up(self, view: View, changed: dict[Candidate, None]) -> None:
        if len(changed) <= len(self._candidates) // 4 + self._few and not view.crowded:
            for candidate in changed:
                view.refresh(candidate)
            return
        # To look at all of them once is cheaper than to move so many about.
        for candidate in changed:
            view.recount(candidate)
        view.build(view.eligible.by_path(self._kinds.values(), self._version))

    def explain(self, view: View) -> tuple[Rejection, ...]:
        """Why candidates of the view's scope cannot take a task, for each that cannot."""
        known = view.explained
        end = self._log_start + len(self._log)
        if known is None or known[0] != end:
            known = view.explained = (end, tuple(explain_all(view.demand, self.candidates(view.scope))))
        return known[1]

    def _new_view(self, scope: Scope, demand: Demand, rng: random.Random) -> View:
        made = order(demand)
        view = self._views[scope, demand] = View(scope, demand, made, self._eligibility(scope, demand, made), rng)
        self._build(view)
        view.position = self._log_start + len(self._log)
        entries = sum(kept.fitting for kept in self._views.values())
        while len(self._views) > 1 and (len(self._views) > MAX_VIEWS or entries > MAX_ENTRIES):
            _, oldest = self._views.popitem(last=False)
            entries -= oldest.fitting
        return view

    def _eligibility(self, scope: Scope, demand: Demand, made: Order) -> Eligible:
        """The shared answers of demands that ask the same of what is fixed."""
        levels = made.levels if all(level.fixed for level in made.levels) else ()
        constraints = (*expressions(demand, "kind"), *expressions(demand, "node"))
        names = tuple(level.name for level in levels)
        key = (scope, demand.required_attributes, demand.architecture, constraints, names)
        found = self._eligible.get(key)
        if found is None:
            found = self._eligible[key] = Eligible(scope, demand, levels)
            if len(self._eligible) > MAX_ELIGIBLE:
                self._eligible.popitem(last=False)
        self._eligible.move_to_end(key)
        return found

    def _build(self, view: View) -> None:
        holders = [self._candidates[arn] for arn in self._holders.get(view.demand.group, ())]
        view.build(view.eligible.by_path(self._kinds.values(), self._version), holders)

    def _join(self, candidate: Candidate) -> None:
        key = candidate.kind_key()
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind()
        kind.members[candidate] = None
        candidate.kind = kind

    def _leave(self, candidate: Candidate) -> None:
        members = candidate.kind.members
        del members[candidate]
        if not members:
            del self._kinds[candidate.kind_key()]

    def _held(self, group: str, arn: str, tasks: int) -> None:
        holders = self._holders.get(group)
        if tasks:
            if holders is None:
                holders = self._holders[group] = {}
            holders[arn] = None
        elif holders is not None:
            holders.pop(arn, None)
            if not holders:
                del self._holders[group]
