"""DescribeAlarmHistory, from the journal's history."""

from __future__ import annotations

import msgspec

from openecs.errors import AWSError
from openecs.model.alarm import alarm_arn
from openecs.model.history import HistoryEntry
from openecs.planning.alarms.history import KINDS
from openecs.shapes import cloudwatch as cw
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 100
#: The newest entries that can be paged through.
REACH = 20_000
#: What follows from what, of one moment.
_ORDER = tuple(KINDS[kind] for kind in ("ConfigurationUpdate", "StateUpdate", "Action"))
_TYPES = {kind: name for name, kind in KINDS.items()}


class AlarmHistory:
    """What happened to alarms, also to those that are deleted."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DescribeAlarmHistory": self.describe}

    async def describe(self, call: Call, request: cw.DescribeAlarmHistoryInput) -> cw.DescribeAlarmHistoryOutput:
        """The history of one alarm, or of all alarms of a kind."""
        kinds = KINDS.values() if request.history_item_type is None else [KINDS.get(request.history_item_type, "none")]
        entries = await self._state.store.history(
            HistoryQuery(
                "alarm",
                alarm_arn(call.region, call.account, request.alarm_name or ""),
                kinds=tuple(kinds),
                since=float("-inf") if request.start_date is None else request.start_date,
                until=float("inf") if request.end_date is None else request.end_date,
                limit=REACH,
            )
        )
        types = request.alarm_types or (None if request.alarm_name else ("MetricAlarm",))
        wanted = [entry for entry in entries if types is None or entry.facts.get("type") in types]
        descending = request.scan_by != "TimestampAscending"
        numbered = _numbered(wanted)
        filters = msgspec.structs.replace(request, max_records=None, next_token=None)
        try:
            page, token = self._pagination.paginate(
                numbered[::-1] if descending else numbered,
                max_results=request.max_records,
                next_token=request.next_token,
                default=PAGE_SIZE,
                limit=PAGE_SIZE,
                scope=f"alarm-history:{call.region}:{msgspec.json.encode(filters).decode()}",
                key=lambda item: item[:2],
                descending=descending,
            )
        except AWSError as error:
            raise AWSError("InvalidNextToken", error.message) from None
        return cw.DescribeAlarmHistoryOutput(
            alarm_history_items=tuple(_view(entry) for _, _, entry in page), next_token=token
        )


def _numbered(entries: list[HistoryEntry]) -> list[tuple[float, int, HistoryEntry]]:
    """Entries, oldest first, with numbers that tell those of one moment apart."""
    numbered: list[tuple[float, int, HistoryEntry]] = []
    for entry in sorted(entries, key=lambda entry: (entry.at, _ORDER.index(entry.kind))):
        number = numbered[-1][1] + 1 if numbered and numbered[-1][0] == entry.at else 0
        numbered.append((entry.at, number, entry))
    return numbered


def _view(entry: HistoryEntry) -> cw.AlarmHistoryItem:
    return cw.AlarmHistoryItem(
        alarm_name=(entry.alarm_arn or "").partition(":alarm:")[2],
        alarm_type=entry.facts.get("type"),
        timestamp=entry.at,
        history_item_type=_TYPES[entry.kind],  # type: ignore[arg-type]
        history_summary=entry.text,
        history_data=entry.facts.get("data"),
    )
