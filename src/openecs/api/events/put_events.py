"""PutEvents: events of callers."""

from __future__ import annotations

import msgspec

from openecs.api.events.lookup import bus_name
from openecs.errors import AWSError
from openecs.events.bus import BusSender
from openecs.model.event import Event
from openecs.planning.event_patterns import read
from openecs.shapes import events
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

#: Bytes of all entries of a call.
MAX_BYTES = 256 * 1024
#: The year 10000, which times of events do not have.
END_OF_TIME = 253_402_300_800.0


class PutEvents:
    """The operation that takes events in."""

    def __init__(self, state: State, sender: BusSender) -> None:
        self._state = state
        self._sender = sender

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"PutEvents": self.put}

    def put(self, call: Call, request: events.PutEventsRequest) -> events.PutEventsResponse:
        """Take the entries that are events; each of the others gets an error of its own."""
        if request.endpoint_id is not None:
            raise AWSError("ValidationException", "EndpointId is not supported by OpenECS.")
        size = sum(entry_bytes(entry) for entry in request.entries)
        if size > MAX_BYTES:
            raise AWSError(
                "ValidationException",
                f"Total size of the entries in the request is over the limit of {MAX_BYTES} bytes.",
            )
        results = []
        with self._state.transaction() as tx:
            for entry in request.entries:
                try:
                    event, bus = self._event(call, entry)
                except AWSError as error:
                    result = events.PutEventsResultEntry(error_code=error.code, error_message=error.message)
                else:
                    self._sender.send(tx, event, bus)
                    result = events.PutEventsResultEntry(event_id=event.id)
                results.append(result)
        failed = sum(result.error_code is not None for result in results)
        return events.PutEventsResponse(failed_entry_count=failed, entries=tuple(results))

    def _event(self, call: Call, entry: events.PutEventsRequestEntry) -> tuple[Event, str]:
        for name, value in (("Source", entry.source), ("DetailType", entry.detail_type), ("Detail", entry.detail)):
            if not value:
                raise _invalid(name, f"{name} is a required argument.")
        source, detail = entry.source or "", entry.detail or ""
        if source.startswith("aws."):
            raise AWSError(
                "NotAuthorizedForSourceException", f"Not authorized for the source {source}: aws. is reserved for AWS."
            )
        try:
            found = read(detail)
        except (ValueError, RecursionError):
            raise AWSError("MalformedDetail", "Detail is malformed.") from None
        if not isinstance(found, dict):
            raise AWSError("MalformedDetail", "Detail is malformed.")
        time = call.now if entry.time is None else entry.time
        if not 0 <= time < END_OF_TIME:
            raise _invalid("Time", "It is out of range.")
        event = Event(
            id=call.ids.uuid(),
            source=source,
            detail_type=entry.detail_type or "",
            account=call.account,
            region=call.region,
            time=time,
            detail=_compact(detail),
            resources=entry.resources or (),
        )
        return event, bus_name(self._state, call, entry.event_bus_name)


def _invalid(name: str, why: str) -> AWSError:
    return AWSError("InvalidArgument", f"Parameter {name} is not valid. Reason: {why}")


def _compact(detail: str) -> bytes:
    """The text without line breaks and blanks between its parts."""
    try:
        return msgspec.json.format(detail.encode(), indent=-1)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise AWSError("MalformedDetail", "Detail is malformed.") from None


def entry_bytes(entry: events.PutEventsRequestEntry) -> int:
    """The size of an entry as EventBridge counts it."""
    texts = (entry.source, entry.detail_type, entry.detail, *(entry.resources or ()))
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts if text)
    return size + (14 if entry.time is not None else 0)
