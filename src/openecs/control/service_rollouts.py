"""The records of a service's roll-outs: its service deployments and service revisions.

Written in the transaction that changes the service, so that they never tell another story.
What they say is decided in ``openecs.planning.service_deployments``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import service_deployments
from openecs.state.state import State
from openecs.state.store import Transaction


class ServiceRollouts:
    """Reads what callers asked of service deployments, and moves the records on."""

    def __init__(self, state: State) -> None:
        self._state = state

    def stop_requested(self, service: Service) -> Literal["ABORT", "ROLLBACK"] | None:
        """What StopServiceDeployment asked for of the deployment that is under way."""
        record = self._current(service)
        primary = service.primary
        if record is None or record.finished or primary is None or record.deployment_id != primary.id:
            return None
        return record.stop_requested

    def due(
        self, service: Service, *, now: float, in_alarm: frozenset[str], shift: TrafficShift | None = None
    ) -> list[ServiceDeployment]:
        """The service deployments that are to be written for the service to be as it is now.

        ``shift`` is where the newest one is with its traffic, if it shifts any.
        """
        current = self._current(service)
        if current is None or current.finished:
            return []
        records = [current]
        if current.started_at is None or service.status != "ACTIVE":
            # A new one, or the end of all: whatever was unfinished ends with this.
            records = list(self._state.service_deployments.by("service", service.arn))
        moved = []
        for record in records:
            after = service_deployments.advance(record, service, now=now, in_alarm=in_alarm)
            if shift is not None and record is current and shift != after.shift:
                after = msgspec.structs.replace(after, shift=shift, updated_at=now)
            if after is not record:
                moved.append(after)
        return moved

    def write(self, tx: Transaction, before: Service, service: Service, due: list[ServiceDeployment]) -> None:
        """Write ``due``, and the image digests that the service's deployments have settled."""
        for record in due:
            tx.put(record)
        known = {d.id: d.pins for d in before.deployments}
        for deployment in service.deployments:
            if not deployment.pins or known.get(deployment.id) == deployment.pins:
                continue
            revision = self._state.service_revisions.get(deployment.revision_arn)
            if revision is not None and revision.pins != deployment.pins:
                tx.put(msgspec.structs.replace(revision, pins=deployment.pins))

    def _current(self, service: Service) -> ServiceDeployment | None:
        arn = service.service_deployment_arn
        return self._state.service_deployments.get(arn) if arn else None
