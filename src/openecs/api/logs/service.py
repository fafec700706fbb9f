"""All operations of CloudWatch Logs in one mapping, as the composition root registers them."""

from __future__ import annotations

from openecs.api.logs.events import LogEvents
from openecs.api.logs.groups import LogGroups
from openecs.api.logs.streams import LogStreams
from openecs.api.logs.tags import LogGroupTags
from openecs.logs.store import LogStore
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class CloudWatchLogs:
    """The service over one open store."""

    def __init__(self, store: LogStore, pagination: Pagination) -> None:
        self._resources = (
            LogGroups(store, pagination),
            LogStreams(store, pagination),
            LogEvents(store),
            LogGroupTags(store),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for resource in self._resources for name, handler in resource.handlers().items()}
