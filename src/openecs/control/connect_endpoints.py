"""Takes Cloud Map services away that Service Connect made and that no deployment of their owner offers any more."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.control.loop import Done, Loop, Result, Timing
from openecs.model.discovery import DiscoveryService
from openecs.model.service import Service
from openecs.state.state import State
from openecs.state.store import Notice


class ConnectEndpoints:
    """Keys are ids of Cloud Map services."""

    def __init__(self, state: State) -> None:
        self._state = state

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs it."""
        loop = Loop("connect-endpoints", self.reconcile, timing, resync=self._all)
        loop.watch(self._state.store, "service", self._service_changed)
        loop.watch(self._state.store, "discovery_instance", self._instance_changed)
        return loop

    def reconcile(self, key: str) -> Result:
        """Forget one that nobody needs."""
        state = self._state
        endpoint = state.discovery_services.get(key)
        if endpoint is None or endpoint.owner_arn is None or self._offered(endpoint):
            return Done()
        if not state.discovery_instances.count("service", key):
            with state.transaction() as tx:
                tx.delete(endpoint)
                tags = state.tags.get(endpoint.arn)
                if tags is not None:
                    tx.delete(tags)
        return Done()

    def _offered(self, endpoint: DiscoveryService) -> bool:
        service = self._state.services.get(endpoint.owner_arn or "")
        if service is None or service.status == "INACTIVE":
            return False
        # A rollback goes back to the deployment that was completed last.
        last = (service.last_completed,) if service.last_completed is not None else ()
        return any(
            port.discovery_name == endpoint.name
            for deployment in (*service.deployments, *last)
            if deployment.connect is not None and deployment.connect.namespace_id == endpoint.namespace_id
            for port in deployment.connect.ports
        )

    def _service_changed(self, notice: Notice) -> Iterable[str]:
        old: Service | None = notice.old
        new: Service | None = notice.new
        service = old or new
        if service is None or not any(d.connect is not None and d.connect.ports for d in service.deployments):
            return ()
        if old is not None and new is not None and old.deployments is new.deployments and old.status == new.status:
            return ()
        namespaces = {d.connect.namespace_id for d in service.deployments if d.connect is not None}
        return [
            found.id
            for namespace_id in sorted(namespaces)
            for found in self._state.discovery_services.by("namespace", namespace_id)
            if found.owner_arn == service.arn
        ]

    def _instance_changed(self, notice: Notice) -> Iterable[str]:
        return (notice.old.service_id,) if notice.new is None else ()

    def _all(self) -> Iterable[str]:
        return [service.id for service in self._state.discovery_services if service.owner_arn is not None]
