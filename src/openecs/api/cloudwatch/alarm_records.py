"""How the alarm operations write: records together with their tags."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.cloudwatch.alarm_errors import validation
from openecs.control.alarm_changes import AlarmChanges
from openecs.errors import AWSError
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.planning.alarms.configuration import Alarm
from openecs.shapes import cloudwatch as cw
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction


class AlarmRecords:
    """Writes alarms for callers."""

    def __init__(self, state: State, changes: AlarmChanges) -> None:
        self._state = state
        self._changes = changes
        self.topics = changes.topics

    def put(self, before: Alarm | None, after: Alarm, tags: tuple[cw.Tag, ...] | None, now: float) -> None:
        """Write an alarm; tags count only for a new one, as in CloudWatch."""
        checked = tags_of(tags or ()) if before is None else ()
        with self._state.transaction() as tx:
            if checked:
                tx.put(ResourceTags(arn=after.arn, tags=checked))
            self._changes.write(tx, before, after, now)

    def delete(self, tx: Transaction, alarm: Alarm) -> None:
        """Forget an alarm and its tags."""
        tags = self._state.tags.get(alarm.arn)
        if tags is not None:
            tx.delete(tags)
        tx.delete(alarm)


def tags_of(tags: Iterable[cw.Tag]) -> tuple[ecs.Tag, ...]:
    """The tags of a request as they are kept; raises what CloudWatch says of wrong ones."""
    kept = tuple(ecs.Tag(key=tag.key, value=tag.value) for tag in tags)
    try:
        tag_rules.check(kept)
        return tag_rules.merge((), kept)
    except AWSError as error:
        raise validation(error.message) from None
