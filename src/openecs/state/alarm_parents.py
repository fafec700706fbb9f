"""The rules of composite alarms, parsed, and who depends on which alarm: a view of the composite alarms."""

from __future__ import annotations

from openecs.model.alarm import CompositeAlarm
from openecs.planning.alarms.rule import Rule, children, name_of, parse


class AlarmParents:
    """Kept right by watching the table of composite alarms.  Alarms are found by region and name."""

    def __init__(self) -> None:
        #: ARN of a composite alarm → its rule.
        self._rules: dict[str, Rule] = {}
        #: Region and name of an alarm → ARNs of those whose rules name it, and of those that it suppresses.
        self._parents: dict[tuple[str, str], dict[str, None]] = {}
        self._suppressed: dict[tuple[str, str], dict[str, None]] = {}

    def rule(self, arn: str) -> Rule:
        """The rule of a composite alarm."""
        return self._rules[arn]

    def parents(self, region: str, name: str) -> tuple[str, ...]:
        """ARNs of the composite alarms whose rules name an alarm."""
        return tuple(self._parents.get((region, name), ()))

    def suppressed(self, region: str, name: str) -> tuple[str, ...]:
        """ARNs of the composite alarms that have an alarm as their suppressor."""
        return tuple(self._suppressed.get((region, name), ()))

    def alarm_changed(self, old: CompositeAlarm | None, new: CompositeAlarm | None) -> None:
        """Follow a change of the table; most change a state only."""
        if old is not None and new is not None and old.settings == new.settings:
            return
        if old is not None:
            rule = self._rules.pop(old.arn)
            for name in children(rule):
                _drop(self._parents, (old.region, name), old.arn)
            if old.settings.actions_suppressor:
                _drop(self._suppressed, (old.region, name_of(old.settings.actions_suppressor)), old.arn)
        if new is not None:
            rule = self._rules[new.arn] = parse(new.settings.alarm_rule)
            for name in children(rule):
                self._parents.setdefault((new.region, name), {})[new.arn] = None
            if new.settings.actions_suppressor:
                place = (new.region, name_of(new.settings.actions_suppressor))
                self._suppressed.setdefault(place, {})[new.arn] = None


def _drop(index: dict[tuple[str, str], dict[str, None]], place: tuple[str, str], arn: str) -> None:
    held = index[place]
    del held[arn]
    if not held:
        del index[place]
