"""The filters, in ECS's order: each says whether a candidate passes, and what it means if not.

First what the candidate is, then CPU, GPU, memory and ports, then the constraints.  A filter
that a demand does not need is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from openecs.planning.cluster_query import Expression
from openecs.planning.placement.candidate import SHARED_ATTRIBUTES, Candidate
from openecs.planning.placement.demand import Demand

DISTINCT = "DistinctInstance placement constraint unsatisfied."
MEMBER_OF = "MemberOf placement constraint unsatisfied."

Test = Callable[[Candidate], bool]
Asks = Literal["kind", "node", "tasks"]

#: Subjects of the query language on which all candidates of a kind agree.
_OF_KIND = frozenset({"agentConnected", *(f"attribute:{name}" for name in SHARED_ATTRIBUTES)})


class Filter(NamedTuple):
    """One filter: AWS's failure reason, and the test that a demand makes of it.

    ``asks`` says what it looks at: what all candidates of a kind share, what else does not
    change, or what tasks change.  ``test`` gives ``None`` for a demand that everything passes.
    """

    reason: str
    asks: Asks
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
    return lambda c: (
        not (
            any(port in c.ports_taken or port in c.reserved_ports for port in tcp)
            or any(port in c.ports_udp_taken or port in c.reserved_ports_udp for port in udp)
        )
    )


def _member_of(expressions: Iterable[Expression]) -> Test | None:
    tests = [expression.test for expression in expressions]
    if len(tests) == 1:
        only = tests[0]
        return lambda c: only(c.facts)
    return (lambda c: all(test(c.facts) for test in tests)) if tests else None


def expressions(demand: Demand, asks: Asks) -> tuple[Expression, ...]:
    """Those of a demand's memberOf expressions that look at that."""
    return tuple(each for each in demand.constraints if _asks(each) == asks)


def _asks(expression: Expression) -> Asks:
    if expression.asks_for_tasks:
        return "tasks"
    return "kind" if expression.subjects <= _OF_KIND else "node"


def _member_of_kind(demand: Demand) -> Test | None:
    return _member_of(expressions(demand, "kind"))


def _member_of_node(demand: Demand) -> Test | None:
    return _member_of(expressions(demand, "node"))


def _member_of_tasks(demand: Demand) -> Test | None:
    return _member_of(expressions(demand, "tasks"))


def _distinct(demand: Demand) -> Test | None:
    group = demand.group
    return (lambda c: group not in c.groups) if demand.distinct_instance else None


FILTERS = (
    Filter("INACTIVE", "kind", _accepts),
    Filter("AGENT", "kind", _connected),
    Filter("ATTRIBUTE", "kind", _attributes),
    Filter("RESOURCE:CPU", "tasks", _cpu),
    Filter("RESOURCE:GPU", "tasks", _gpus),
    Filter("RESOURCE:MEMORY", "tasks", _memory),
    Filter("RESOURCE:PORTS", "tasks", _ports),
    Filter(MEMBER_OF, "kind", _member_of_kind),
    Filter(MEMBER_OF, "node", _member_of_node),
    Filter(MEMBER_OF, "tasks", _member_of_tasks),
    Filter(DISTINCT, "tasks", _distinct),
)


def tests(demand: Demand, asks: Asks) -> list[Test]:
    """The tests of a demand of those filters that look at that."""
    made = (each.test(demand) for each in FILTERS if each.asks == asks)
    return [test for test in made if test is not None]


def narrow(demand: Demand, candidates: list[Candidate]) -> list[Candidate]:
    """Those that pass the filters that look at tasks, in the same order.

    A new view asks all candidates: what most demands ask for is compared without another call.
    """
    needed = demand.resources
    done: list[Callable[[Demand], Test | None]] = [_cpu, _memory]
    cpu, memory = needed.cpu, needed.memory
    left = [c for c in candidates if c.cpu >= cpu and c.memory >= memory]
    if len(needed.ports) == 1 and not needed.ports_udp:
        port = needed.ports[0]
        left = [c for c in left if port not in c.ports_taken and port not in c.reserved_ports]
        done.append(_ports)
    for each in FILTERS:
        if each.asks == "tasks" and each.test not in done:
            test = each.test(demand)
            if test is not None:
                left = [candidate for candidate in left if test(candidate)]
    return left


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
