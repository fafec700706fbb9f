"""How the traffic of Service Connect's endpoints is divided while a deployment shifts it.

The tasks of a service are in one of two places (``ServiceConnect.alternate``): those of a deployment
that shifts traffic are in the other one than those in production.  Hosts are told how much each
place gets; that follows from the service and its deployment, so nothing is written for it.

Reads state only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from openecs.acs.host_documents import ConnectTest
from openecs.control import connect_lookup
from openecs.control.connect_reports import ConnectReports
from openecs.model.service import Deployment, Service
from openecs.model.service_connect import ConnectPort, endpoint_key
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.task import Task
from openecs.planning import target_slots
from openecs.state.state import State


class Routing(NamedTuple):
    """What becomes of an endpoint's requests."""

    #: Thousandths of the production traffic for the alternate place.
    alternate_share: int
    #: ``None``: no request is a test.
    test: ConnectTest | None = None
    #: The place of the revision that is being brought out; ``None``: there is none.
    newer: bool | None = None

    @property
    def revision(self) -> str:
        """Stands for it: different for what would be routed differently."""
        test = self.test
        tests = "" if test is None else f"{test.header}={test.value}>{int(test.alternate)}"
        return f"{self.alternate_share}/{tests}"

    def careful(self, places: set[bool]) -> Routing:
        """The same, but nothing for the newer revision as long as no task of it is in its place.

        ``places`` are those where tasks are.
        """
        if self.newer is None or self.newer in places or (not self.newer) not in places:
            return self
        return Routing(alternate_share=0 if self.newer else 1000, newer=self.newer)


def routing(state: State, service: Service, port: ConnectPort | None) -> Routing:
    """How requests to one of the service's endpoints are to be divided now."""
    under_way = _under_way(state, service)
    if under_way is None:
        base = target_slots.base(service) or service.last_completed
        settled = base is not None and base.connect is not None and base.connect.alternate
        return Routing(1000 if settled else 0)
    record, revision = under_way
    assert record.shift is not None  # noqa: S101 -- that is what makes it one
    newer = revision.connect_alternate
    share = min(1000, max(0, round(record.shift.production * 10)))
    test = None
    if record.shift.test > 0.0 and port is not None and port.test_header:
        test = ConnectTest(header=port.test_header, value=port.test_value, alternate=newer)
    return Routing(share if newer else 1000 - share, test, newer)


def tests(state: State, record: ServiceDeployment) -> bool:
    """Whether there can be test traffic for the revision that is brought out."""
    service = state.services.get(record.service_arn)
    brought_out = (d for d in service.deployments if d.id == record.deployment_id) if service is not None else ()
    return any(port.test_header for deployment in brought_out for port in _ports(deployment))


def waiting(state: State, task: Task) -> list[str]:
    """The services that may have waited for the host of a task that calls their endpoints, and is gone."""
    if task.connect is None or not task.connect.names:
        return []
    owners = (endpoint.owner_arn for endpoint in state.discovery_services.by("namespace", task.connect.namespace_id))
    services = (state.services.get(arn) for arn in dict.fromkeys(owners) if arn is not None)
    return [found.arn for found in services if found is not None and _under_way(state, found) is not None]


def in_force(state: State, reports: ConnectReports, service: Service) -> bool:
    """Whether every host with callers routes requests to the service's endpoints as it should be now."""
    return all(
        reports.routing(host, key) == wanted.revision
        for namespace_id, key, wanted in _endpoints(state, service)
        for host in connect_lookup.client_hosts(state, namespace_id)
    )


def _endpoints(state: State, service: Service) -> Iterator[tuple[str, str, Routing]]:
    """Namespace id, key and routing of each endpoint that the service offers."""
    ports: dict[tuple[str, str], ConnectPort] = {}
    for deployment in service.deployments:
        for port in _ports(deployment):
            assert deployment.connect is not None  # noqa: S101 -- it has ports
            # The newest settings count.
            ports.setdefault((deployment.connect.namespace_id, port.discovery_name), port)
    for (namespace_id, name), port in ports.items():
        if connect_lookup.owned_service(state, namespace_id, name) is not None:
            yield namespace_id, endpoint_key(namespace_id, name), routing(state, service, port)


def _ports(deployment: Deployment) -> tuple[ConnectPort, ...]:
    return deployment.connect.ports if deployment.connect is not None else ()


def _under_way(state: State, service: Service) -> tuple[ServiceDeployment, ServiceRevision] | None:
    """The deployment that shifts the service's traffic now, and the revision that it brings out."""
    record = state.service_deployments.get(service.service_deployment_arn or "")
    if record is None or record.shift is None or record.finished:
        return None
    revision = state.service_revisions.get(record.target_revision_arn)
    return (record, revision) if revision is not None else None
