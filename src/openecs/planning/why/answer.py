"""What ``openecs why`` answers, as JSON and as text alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec

from openecs.model.history import HistoryEntry

T = TypeVar("T")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, or that holds now."""

    #: Seconds since the epoch; ``None`` for what holds now.
    at: float | None = None
    #: A short kind, as in ``model.history``, or ``pull``, ``started``, ``ended``, ``now``.
    what: str
    text: str
    #: Lines of their own below it: reasons of single nodes, output of a container.
    details: tuple[str, ...] = ()


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that failed for the same cause."""

    cause: str
    count: int
    last_at: float
    #: Ids of the newest of them.
    tasks: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is as it is."""

    subject: Literal["task", "service", "deployment", "schedule"]
    #: ARN, or ``ecs-svc/N``.
    id: str
    #: ``None`` when only history knows it.
    status: str | None
    #: One sentence: the cause.
    summary: str
    #: What holds now.
    now: tuple[Line, ...] = ()
    failures: tuple[Failures, ...] = ()
    #: Oldest first.
    timeline: tuple[Line, ...] = ()


def line_of(entry: HistoryEntry) -> Line:
    """An entry of history as a line."""
    return Line(at=entry.at, what=entry.kind, text=entry.text, details=tuple(details_of(entry.facts)))


def record_in(entry: HistoryEntry, name: str, kind: type[T]) -> T | None:
    """A record among an entry's facts; ``None`` if it is not there or of a version that wrote it differently."""
    try:
        return msgspec.convert(entry.facts.get(name), kind)
    except msgspec.ValidationError:
        return None


def details_of(facts: dict[str, Any]) -> Iterable[str]:
    """What an entry's facts add to its text."""
    if offered := facts.get("offered"):
        strategy = ", ".join(facts.get("strategy", ()))
        yield f"{facts['fitting']} of {offered} nodes fitted" + (f"; chosen by {strategy}" if strategy else "")
    rejected: dict[str, int] = facts.get("rejected", {})
    if rejected and not facts.get("nodes"):
        yield "against other nodes: " + ", ".join(f"{count} x {reason}" for reason, count in sorted(rejected.items()))
    nodes = facts.get("nodes", ())
    for node in nodes:
        yield f"{node['node']}: {node['reason']}" + (f" ({node['detail']})" if node.get("detail") else "")
    if (more := sum(rejected.values()) - len(nodes)) > 0 and nodes:
        yield f"and {more} more: " + ", ".join(f"{count} x {reason}" for reason, count in sorted(rejected.items()))
    for probe in facts.get("probes", ()):
        said = probe.get("output", "").strip().splitlines()
        text = f"health check exited with code {probe['exit_code']}"
        yield f"{text}: {said[0]}" if len(said) == 1 else text
        yield from (f"| {line}" for line in said if len(said) > 1)
    log = facts.get("log")
    if log:
        yield "last output:"
        yield from (f"| {line}" for line in log.splitlines())


def in_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Lines by time; what happened at one time stays in the given order, causes first."""
    return tuple(sorted(lines, key=lambda line: line.at or 0.0))


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
