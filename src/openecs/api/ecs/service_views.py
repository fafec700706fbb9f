"""Services as the API shows them, with what their view needs looked up."""

from __future__ import annotations

from openecs.api.ecs import service_view
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
        return service_view.render(
            service,
            self._state.tasks.by("service", service.arn),
            events.events if events else (),
            (tags.tags if tags else ()) if with_tags else None,
        )
