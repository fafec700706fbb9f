"""Placement over a list of candidates, one after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from openecs.planning.placement.candidate import Candidate
from openecs.planning.placement.demand import Demand
from openecs.planning.placement.filters import Rejection, explain_all
from openecs.planning.placement.offer import Offer


class Decision(NamedTuple):
    chosen: Candidate | None
    rejections: tuple[Rejection, ...]


class _Everything:
    def includes(self, _: Candidate) -> bool:
        return True


def place(demand: Demand, count: int, candidates: Sequence[Candidate], rng: random.Random) -> list[Decision]:
    offer = Offer()
    for candidate in candidates:
        offer.replace(candidate.arn, candidate)
    scope = _Everything()
    decisions = []
    for _ in range(count):
        chosen = offer.view(scope, demand, rng).best()  # type: ignore[arg-type]
        if chosen is None:
            rejected = Decision(None, tuple(explain_all(demand, candidates)))
            decisions += [rejected] * (count - len(decisions))
            break
        needed = demand.resources
        chosen.cpu -= needed.cpu
        chosen.memory -= needed.memory
        chosen.gpus -= needed.gpus
        chosen.ports_taken = {*chosen.ports_taken, *needed.ports}
        chosen.ports_udp_taken = {*chosen.ports_udp_taken, *needed.ports_udp}
        chosen.tasks += 1
        chosen.groups[demand.group] = chosen.groups.get(demand.group, 0) + 1
        offer.changed(chosen)
        offer.group_changed(chosen, demand.group)
        decisions.append(Decision(chosen, ()))
    return decisions
