"""All operations of EventBridge."""

from __future__ import annotations

from openecs.api.events.api_destinations import ApiDestinations
from openecs.api.events.archives import Archives
from openecs.api.events.buses import Buses
from openecs.api.events.connections import Connections
from openecs.api.events.patterns import EventPatterns
from openecs.api.events.put_events import PutEvents
from openecs.api.events.replays import Replays
from openecs.api.events.rules import Rules
from openecs.api.events.tagging import Tagging
from openecs.api.events.targets import Targets
from openecs.events.archive_store import ArchiveStore
from openecs.events.authorization import Authorizer
from openecs.events.bus import BusSender
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class EventBridge:
    """Amazon EventBridge over the installation's state."""

    def __init__(
        self,
        state: State,
        pagination: Pagination,
        *,
        sender: BusSender,
        archives: ArchiveStore,
        authorizer: Authorizer,
    ) -> None:
        self._parts = (
            Buses(state, pagination),
            Rules(state, pagination),
            Targets(state, pagination),
            PutEvents(state, sender),
            EventPatterns(),
            Archives(state, pagination, archives),
            Replays(state, pagination),
            Connections(state, pagination, authorizer),
            ApiDestinations(state, pagination),
            Tagging(state),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
