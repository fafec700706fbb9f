"""Replays of archived events."""

from __future__ import annotations

import msgspec

from openecs.api.events import errors
from openecs.api.events.pages import page
from openecs.errors import AWSError
from openecs.model.event_archive import EventReplay
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Replays of a region that are under way.
MAX_UNDER_WAY = 10
#: Seconds for which replays that have ended are shown.
RETENTION = 90 * 86400.0
_UNDER_WAY = ("STARTING", "RUNNING")


class Replays:
    """The operations on replays; ``control.event_replays`` carries them out."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "StartReplay": self.start,
            "DescribeReplay": self.describe,
            "ListReplays": self.list_all,
            "CancelReplay": self.cancel,
        }

    def start(self, call: Call, request: events.StartReplayRequest) -> events.StartReplayResponse:
        """Send what an archive holds of a time to its bus again."""
        arn = replay_arn(call, request.replay_name)
        if arn in self._state.event_replays:
            raise errors.already_exists(f"Replay {request.replay_name} already exists.")
        archive = self._state.event_archives.get(request.event_source_arn)
        if archive is None:
            raise errors.parameter("EventSourceArn", f"Archive {request.event_source_arn} does not exist.")
        if request.destination.arn != archive.source_arn:
            raise errors.parameter("Destination.Arn", "Cross event bus replay is not permitted.")
        if request.event_end_time <= request.event_start_time:
            raise errors.parameter("EventEndTime", "EventStartTime must be before EventEndTime.")
        for rule in request.destination.filter_arns or ():
            if rule not in self._state.event_rules:
                raise errors.parameter("Destination.FilterArns", f"Rule {rule} does not exist.")
        known = self._state.event_replays.by("region", call.region)
        if sum(replay.state in _UNDER_WAY for replay in known) >= MAX_UNDER_WAY:
            raise errors.limit_exceeded("The maximum number of concurrent replays is reached.")
        made = EventReplay(
            arn=arn,
            region=call.region,
            name=request.replay_name,
            archive_arn=archive.arn,
            destination=request.destination,
            event_start=request.event_start_time,
            event_end=request.event_end_time,
            started_at=call.now,
            description=request.description,
        )
        with self._state.transaction() as tx:
            for old in known:
                if old.ended_at is not None and old.ended_at < call.now - RETENTION:
                    tx.delete(old)
            tx.put(made)
        return events.StartReplayResponse(replay_arn=arn, state=made.state, replay_start_time=made.started_at)

    def describe(self, call: Call, request: events.DescribeReplayRequest) -> events.DescribeReplayResponse:
        """One replay."""
        found = self._find(call, request.replay_name)
        return events.DescribeReplayResponse(
            replay_name=found.name,
            replay_arn=found.arn,
            description=found.description,
            state=found.state,
            state_reason=found.state_reason,
            event_source_arn=found.archive_arn,
            destination=found.destination,
            event_start_time=found.event_start,
            event_end_time=found.event_end,
            event_last_replayed_time=found.last_replayed_at,
            replay_start_time=found.started_at,
            replay_end_time=found.ended_at,
        )

    def list_all(self, call: Call, request: events.ListReplaysRequest) -> events.ListReplaysResponse:
        """The replays of a region, by name; at most one filter."""
        prefix, source, state = request.name_prefix, request.event_source_arn, request.state
        if sum(given is not None for given in (prefix, source, state)) > 1:
            raise errors.invalid(
                "At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix."
            )
        known = {
            found.name: found
            for found in self._state.event_replays.by("region", call.region)
            if found.name.startswith(prefix or "")
            and source in (None, found.archive_arn)
            and state in (None, found.state)
        }
        names, token = page(self._pagination, known, request, f"ListReplays/{call.region}/{prefix}/{source}/{state}")
        return events.ListReplaysResponse(replays=tuple(_item(known[name]) for name in names), next_token=token)

    def cancel(self, call: Call, request: events.CancelReplayRequest) -> events.CancelReplayResponse:
        """Stop a replay that is under way."""
        found = self._find(call, request.replay_name)
        if found.state not in _UNDER_WAY:
            raise AWSError("IllegalStatusException", f"Replay {found.name} is not in a valid state for this operation.")
        changed = msgspec.structs.replace(found, state="CANCELLING")
        with self._state.transaction() as tx:
            tx.put(changed)
        return events.CancelReplayResponse(replay_arn=found.arn, state=changed.state)

    def _find(self, call: Call, name: str) -> EventReplay:
        found = self._state.event_replays.get(replay_arn(call, name))
        if found is None:
            raise errors.not_found(f"Replay {name} does not exist.")
        return found


def replay_arn(call: Call, name: str) -> str:
    """The ARN of a replay."""
    return f"arn:aws:events:{call.region}:{call.account}:replay/{name}"


def _item(found: EventReplay) -> events.Replay:
    return events.Replay(
        replay_name=found.name,
        event_source_arn=found.archive_arn,
        state=found.state,
        state_reason=found.state_reason,
        event_start_time=found.event_start,
        event_end_time=found.event_end,
        event_last_replayed_time=found.last_replayed_at,
        replay_start_time=found.started_at,
        replay_end_time=found.ended_at,
    )
