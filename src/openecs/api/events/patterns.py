"""Event patterns in requests, and TestEventPattern."""

from __future__ import annotations

from openecs.api.events import errors
from openecs.planning.event_patterns import InvalidPatternError, Pattern, compile_pattern, read
from openecs.shapes import events
from openecs.wire.call import Call, Handlers

_REQUIRED = ("id", "account", "source", "time", "region", "resources", "detail-type")


class EventPatterns:
    """The operation that tries a pattern out."""

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"TestEventPattern": self.test}

    def test(self, call: Call, request: events.TestEventPatternRequest) -> events.TestEventPatternResponse:
        """Whether an event matches."""
        del call
        pattern = check_pattern(request.event_pattern)
        try:
            event = read(request.event)
        except (ValueError, RecursionError):
            raise errors.parameter("Event", "The event is not valid JSON.") from None
        if not isinstance(event, dict):
            raise errors.parameter("Event", "The event is not a JSON object.")
        missing = [name for name in _REQUIRED if name not in event]
        if missing:
            raise errors.parameter("Event", f"The event has no {', '.join(missing)}.")
        try:
            return events.TestEventPatternResponse(result=pattern.matches(event))
        except RecursionError:
            raise errors.parameter("Event", "The event is nested too deeply.") from None


def check_pattern(text: str) -> Pattern:
    """The compiled pattern; raises InvalidEventPatternException."""
    try:
        return compile_pattern(text)
    except InvalidPatternError as error:
        raise errors.invalid_pattern(str(error)) from None
