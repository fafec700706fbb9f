"""Services as the API shows them, with what their view needs looked up."""

from __future__ import annotations

import msgspec

from openecs.api.ecs import service_connect, service_view
from openecs.model.service import Service
from openecs.shapes import ecs
from openecs.state.state import State


class ServiceViews:
    """Gathers a service's tasks, events and tags for ``service_view``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def view(self, service: Service, *, with_tags: bool) -> ecs.Service:
        """The service as DescribeServices shows it; tags only when asked for."""
        events = self._state.service_events.get(service.arn)
        tags = self._state.tags.get(service.arn) if with_tags else None
        shown = service_view.render(
            service,
            self._state.tasks.by("service", service.arn),
            events.events if events else (),
            (tags.tags if tags else ()) if with_tags else None,
        )
        if not any(deployment.connect is not None for deployment in service.deployments):
            return shown
        resources = {d.id: service_connect.resources(self._state, d) for d in service.deployments}
        deployments = tuple(
            msgspec.structs.replace(deployment, service_connect_resources=resources.get(deployment.id or ""))
            for deployment in shown.deployments or ()
        )
        return msgspec.structs.replace(shown, deployments=deployments)
