"""The filters, in ECS's order: each says whether a candidate passes, and what it means if not.

First what the candidate is, then CPU, GPU, memory and ports, then the constraints.  A filter
that a demand does not need is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from openecs.planning.cluster_query import Expression
from openecs.planning.placement.candidate import Candidate
from openecs.planning.placement.demand import Demand

DISTINCT = "DistinctInstance placement constraint unsatisfied."
MEMBER_OF = "MemberOf placement constraint unsatisfied."

Test = Callable[[Candidate], bool]


class Filter(NamedTuple):
    """One filter: AWS's failure reason, and the test that a demand makes of it.

    ``fixed`` filters look at nothing that tasks change.  ``test`` gives ``None`` for a demand
    that everything passes.
    """

    reason: str
    fixed: bool
    test: Callable[[Demand], Test | None]


class Rejection(NamedTuple):
    """Why one candidate cannot take the task: AWS's failure reason."""

    candidate: Candidate
    reason: str


def _accepts(_: Demand) -> Test:
    return lambda c: c.accepts_tasks


def _connected(_: Demand) -> Test:
    return lambda c: c.connected


def _attributes(demand: Demand) -> Test | None:
    required, architecture = demand.required_attributes, demand.architecture
    if architecture:
        return lambda c: (
            required <= c.facts.attributes.keys() and c.facts.attributes.get("ecs.cpu-architecture") == architecture
        )
    return (lambda c: required <= c.facts.attributes.keys()) if required else None


def _cpu(demand: Demand) -> Test:
    needed = demand.resources.cpu
    return lambda c: c.cpu >= needed


def _gpus(demand: Demand) -> Test | None:
    needed = demand.resources.gpus
    return (lambda c: c.gpus >= needed) if needed else None


def _memory(demand: Demand) -> Test:
    needed = demand.resources.memory
    return lambda c: c.memory >= needed


def _ports(demand: Demand) -> Test | None:
    tcp, udp = demand.resources.ports, demand.resources.ports_udp
    if not tcp and not udp:
        return None
    if len(tcp) == 1 and not udp:
        port = tcp[0]
        return lambda c: port not in c.ports_taken and port not in c.reserved_ports
    return lambda c: not (
        any(port in c.ports_taken or port in c.reserved_ports for port in tcp)
        or any(port in c.ports_udp_taken or port in c.reserved_ports_udp for port in udp)
    )


def _member_of(expressions: Iterable[Expression]) -> Test | None:
    tests = [expression.matches for expression in expressions]
    if len(tests) == 1:
        only = tests[0]
        return lambda c: only(c.facts)
    return (lambda c: all(test(c.facts) for test in tests)) if tests else None


def _member_of_fixed(demand: Demand) -> Test | None:
    return _member_of(e for e in demand.constraints if not e.asks_for_tasks)


def _member_of_changing(demand: Demand) -> Test | None:
    return _member_of(e for e in demand.constraints if e.asks_for_tasks)


def _distinct(demand: Demand) -> Test | None:
    group = demand.group
    return (lambda c: group not in c.groups) if demand.distinct_instance else None


FILTERS = (
    Filter("INACTIVE", fixed=True, test=_accepts),
    Filter("AGENT", fixed=True, test=_connected),
    Filter("ATTRIBUTE", fixed=True, test=_attributes),
    Filter("RESOURCE:CPU", fixed=False, test=_cpu),
    Filter("RESOURCE:GPU", fixed=False, test=_gpus),
    Filter("RESOURCE:MEMORY", fixed=False, test=_memory),
    Filter("RESOURCE:PORTS", fixed=False, test=_ports),
    Filter(MEMBER_OF, fixed=True, test=_member_of_fixed),
    Filter(MEMBER_OF, fixed=False, test=_member_of_changing),
    Filter(DISTINCT, fixed=False, test=_distinct),
)


def tests(demand: Demand, *, fixed: bool) -> list[Test]:
    """The tests of a demand, of the fixed or of the changing filters."""
    made = (each.test(demand) for each in FILTERS if each.fixed is fixed)
    return [test for test in made if test is not None]


def explain(demand: Demand, candidate: Candidate) -> str | None:
    """Why this candidate cannot take the task, ``None`` when it can."""
    for each in FILTERS:
        test = each.test(demand)
        if test is not None and not test(candidate):
            return each.reason
    return None


def explain_all(demand: Demand, candidates: Iterable[Candidate]) -> list[Rejection]:
    """The reasons against those candidates that cannot take the task, in their order."""
    made = [(each.reason, test) for each in FILTERS if (test := each.test(demand)) is not None]
    found = []
    for candidate in candidates:
        for reason, test in made:
            if not test(candidate):
                found.append(Rejection(candidate, reason))
                break
    return found


def closest(rejections: Iterable[Rejection]) -> Rejection | None:
    """The rejection of the candidate that came nearest to taking the task: got furthest."""
    return max(rejections, key=lambda rejection: _FURTHER[rejection.reason], default=None)


_FURTHER = {each.reason: position for position, each in enumerate(FILTERS)}
