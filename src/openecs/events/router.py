"""The router: which rules and archives of a bus an event concerns, and the deliveries that this comes to.

It writes nothing: whoever sends events puts the deliveries into the transaction of what caused them.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID, uuid5

from openecs.clock import Clock
from openecs.events.meter import Meter
from openecs.model.event import Event, envelope
from openecs.model.event_archive import EventArchive
from openecs.model.event_delivery import EventDelivery
from openecs.model.event_rule import DEFAULT_BUS, EventRule
from openecs.planning.event_patterns import InvalidPatternError, Pattern, compile_pattern, read
from openecs.shapes import events
from openecs.state.state import State

_NAMESPACE = UUID("6d0f41a1-6c3a-4f43-9a43-0a5d1a5a7f55")
#: Kinds of event for which the candidates are remembered at a time.
_REMEMBERED = 4096


class Candidate(NamedTuple):
    """A rule or an archive, and its pattern; archives may have none and then take everything."""

    of: EventRule | EventArchive
    pattern: Pattern | None

    def may_match(self, source: str, detail_type: str) -> bool:
        """Whether an event of this kind is worth making."""
        wanted = self.pattern
        return wanted is None or (
            (wanted.sources is None or source in wanted.sources)
            and (wanted.detail_types is None or detail_type in wanted.detail_types)
        )


class Router:
    """Finds rules by what events they can match at all, so that others cost nothing."""

    def __init__(self, state: State, clock: Clock, meter: Meter) -> None:
        self._state = state
        self._clock = clock
        self._meter = meter
        self._patterns: dict[str, Pattern] = {}
        #: (region, bus, source, detail type) → who may want such an event.
        self._candidates: dict[tuple[str, str, str, str], tuple[Candidate, ...]] = {}
        state.event_rules.watch(self._changed)
        state.event_archives.watch(self._changed)

    def candidates(self, region: str, bus: str, source: str, detail_type: str) -> tuple[Candidate, ...]:
        """The enabled rules and the archives of a bus that may want an event of this kind."""
        kind = (region, bus, source, detail_type)
        found = self._candidates.get(kind)
        if found is None:
            if len(self._candidates) >= _REMEMBERED:
                self._candidates.clear()
            found = self._candidates[kind] = tuple(
                candidate for candidate in self._all(region, bus) if candidate.may_match(source, detail_type)
            )
        return found

    def deliveries(
        self,
        event: Event,
        bus: str = DEFAULT_BUS,
        *,
        text: str | None = None,
        rules: frozenset[str] | None = None,
        hops: int = 0,
        token: str = "",
    ) -> list[EventDelivery]:
        """What an event on a bus comes to.

        ``text`` is the event as it came, where it did; ``rules`` (ARNs) are the only ones to ask, ``token``
        makes the deliveries of a repetition the same as before.
        """
        wanted = self.candidates(event.region, bus, event.source, event.detail_type)
        if not wanted:
            return []
        text = text or envelope(event)
        found = read(text)
        now = self._clock.now()
        deliveries: list[EventDelivery] = []
        for candidate in wanted:
            if candidate.pattern is not None and not _matches(candidate.pattern, found):
                continue
            if isinstance(candidate.of, EventArchive):
                # What is replayed is in an archive already.
                if event.replay_name is None:
                    deliveries.append(_archiving(candidate.of, text, now, token or event.id))
            elif rules is None or candidate.of.arn in rules:
                deliveries.extend(self._matched(candidate.of, text, now, hops, token or event.id))
        return deliveries

    def fired(self, rule: EventRule, text: str, now: float, token: str) -> list[EventDelivery]:
        """The deliveries of an event to all targets of one rule, whatever its pattern."""
        return self._matched(rule, text, now, 0, token)

    def _matched(self, rule: EventRule, text: str, now: float, hops: int, token: str) -> list[EventDelivery]:
        for name in ("MatchedEvents", "TriggeredRules"):
            self._meter.count(name, rule.region, rule.name, rule.bus_name)
        return [
            EventDelivery(
                id=str(uuid5(_NAMESPACE, f"{token} {rule.arn} {target.id}")),
                region=rule.region,
                rule_arn=rule.arn,
                rule_name=rule.name,
                target=target,
                event=text,
                created_at=now,
                due_at=now,
                hops=hops,
            )
            for target in rule.targets
        ]

    def _all(self, region: str, bus: str) -> list[Candidate]:
        found = [
            Candidate(rule, self._pattern(rule.event_pattern))
            for rule in self._state.event_rules.by("bus", (region, bus))
            if rule.state == "ENABLED" and rule.event_pattern
        ]
        for archive in self._state.event_archives.by("region", region):
            if archive.source_arn.endswith(f":event-bus/{bus}"):
                pattern = self._pattern(archive.event_pattern) if archive.event_pattern else None
                found.append(Candidate(archive, pattern))
        return found

    def _pattern(self, text: str) -> Pattern:
        found = self._patterns.get(text)
        if found is None:
            try:
                found = compile_pattern(text)
            except InvalidPatternError:
                # It was valid when it was put: a pattern of another version of OpenECS matches nothing.
                found = Pattern(lambda _: False, frozenset(), frozenset())
            self._patterns[text] = found
        return found

    def _changed(self, old: EventRule | EventArchive | None, new: EventRule | EventArchive | None) -> None:
        self._candidates.clear()
        if old is not None and old.event_pattern and (new is None or new.event_pattern != old.event_pattern):
            self._patterns.pop(old.event_pattern, None)


def _matches(pattern: Pattern, event: object) -> bool:
    try:
        return pattern.matches(event)  # type: ignore[arg-type]
    except RecursionError:
        return False


def _archiving(archive: EventArchive, text: str, now: float, token: str) -> EventDelivery:
    """Archives get their events by delivery as well, so that none is lost."""
    return EventDelivery(
        id=str(uuid5(_NAMESPACE, f"{token} {archive.arn}")),
        region=archive.region,
        rule_arn=archive.arn,
        rule_name=f"Events-Archive-{archive.name}",
        target=events.Target(id="archive", arn=archive.arn),
        event=text,
        created_at=now,
        due_at=now,
    )
