"""All operations of EventBridge Scheduler."""

from __future__ import annotations

from openecs.api.scheduler.groups import Groups
from openecs.api.scheduler.schedules import Schedules
from openecs.api.scheduler.validation import Serves
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class Scheduler:
    """Amazon EventBridge Scheduler over the installation's state.

    ``serves`` tells the parameters of an operation that a schedule can call.
    """

    def __init__(self, state: State, pagination: Pagination, serves: Serves) -> None:
        self._parts = (Schedules(state, pagination, serves), Groups(state, pagination))

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
