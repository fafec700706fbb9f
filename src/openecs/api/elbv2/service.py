"""Elastic Load Balancing v2 as a whole: all handlers, built from state."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from openecs.api.elbv2.activation import PATIENCE
from openecs.api.elbv2.attributes import Attributes
from openecs.api.elbv2.limits import AccountLimits
from openecs.api.elbv2.listener_certificates import ListenerCertificates
from openecs.api.elbv2.listeners import Listeners
from openecs.api.elbv2.load_balancers import LoadBalancers
from openecs.api.elbv2.paging import Pages
from openecs.api.elbv2.rules import Rules
from openecs.api.elbv2.tags import Tags
from openecs.api.elbv2.target_groups import TargetGroups
from openecs.api.elbv2.targets import Targets
from openecs.state.state import State
from openecs.wire.call import Call, Handler, Handlers
from openecs.wire.pagination import Pagination


class ElasticLoadBalancing:
    """Every operation that is served."""

    def __init__(
        self, state: State, pagination: Pagination, ensure_region: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        """``ensure_region`` makes a region's default network unless it once had it.

        ``patience``: seconds that CreateLoadBalancer waits for the load balancer to be active.
        """
        self._ensure_region = ensure_region
        pages = Pages(pagination)
        self._parts: tuple[Handlers, ...] = (
            LoadBalancers(state, pages, patience).handlers(),
            Attributes(state).handlers(),
            Listeners(state, pages).handlers(),
            ListenerCertificates(state, pages).handlers(),
            Rules(state, pages).handlers(),
            TargetGroups(state, pages).handlers(),
            Targets(state).handlers(),
            Tags(state).handlers(),
            AccountLimits(pages).handlers(),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        merged: dict[str, Handler] = {}
        for part in self._parts:
            merged.update({name: self._prepared(handler) for name, handler in part.items()})
        return merged

    def _prepared(self, handler: Handler) -> Handler:
        """The handler, with a region that has its network."""
        if iscoroutinefunction(handler):

            async def wait(call: Call, request: Any) -> Any:
                self._ensure_region(call.region)
                return await handler(call, request)

            return wait

        def handle(call: Call, request: Any) -> Any:
            self._ensure_region(call.region)
            return handler(call, request)

        return handle
