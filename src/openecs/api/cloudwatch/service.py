"""All operations of CloudWatch."""

from __future__ import annotations

from openecs.api.cloudwatch.dashboards import Dashboards
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class CloudWatch:
    """CloudWatch over the installation's state."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._parts = (Dashboards(state, pagination),)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
