"""All operations of CloudWatch Logs in one mapping, as the composition root registers them."""

from __future__ import annotations

from openecs.api.logs.events import LogEvents
from openecs.api.logs.group_filters import GroupFilters
from openecs.api.logs.groups import LogGroups
from openecs.api.logs.live_tail import LiveTail
from openecs.api.logs.metric_filters import MetricFilters
from openecs.api.logs.queries import LogQueries
from openecs.api.logs.query_definitions import QueryDefinitions
from openecs.api.logs.resource_policies import ResourcePolicies
from openecs.api.logs.streams import LogStreams
from openecs.api.logs.subscription_filters import SubscriptionFilters
from openecs.api.logs.tags import LogGroupTags
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class CloudWatchLogs:
    """The service over one open store; filters and policies are in state."""

    def __init__(self, store: LogStore, state: State, pagination: Pagination, queries: Runner) -> None:
        filters = GroupFilters(state)
        self._resources = (
            LogGroups(store, pagination, filters),
            LogStreams(store, pagination),
            LogEvents(store),
            LogGroupTags(store),
            MetricFilters(store, state, pagination, filters),
            SubscriptionFilters(store, state, pagination, filters),
            ResourcePolicies(store, state, pagination),
            LiveTail(store),
            LogQueries(store, queries, pagination),
            QueryDefinitions(store, state, pagination),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for resource in self._resources for name, handler in resource.handlers().items()}
