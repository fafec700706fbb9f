"""What hosts are told of Service Connect: kind ``connect``, one document for each endpoint.

It says which tasks are behind a discovery name, and goes to the hosts with tasks that are in the
namespace.  What a task itself has to listen on is part of its payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from openecs.acs.host_board import HostBoard, Placed
from openecs.acs.host_documents import ConnectDocument, ConnectTarget
from openecs.control import connect_lookup, connect_routing
from openecs.model.discovery import DiscoveryInstance, DiscoveryService
from openecs.model.service import Service
from openecs.model.service_connect import ConnectPort, endpoint_key
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import Task
from openecs.state.state import State
from openecs.state.store import Notice


class ConnectDocuments:
    """A source of documents."""

    kinds = frozenset({"connect"})

    def __init__(self, state: State) -> None:
        self._state = state

    def keys(self, kind: str) -> Iterable[str]:  # noqa: ARG002 -- there is one kind
        """The keys of all endpoints."""
        return [endpoint_key(s.namespace_id, s.name) for s in self._state.discovery_services if s.owner_arn is not None]

    def render(self, kind: str, key: str) -> Placed | None:  # noqa: ARG002
        """The endpoint as it should be now."""
        namespace_id, _, name = key.partition("/")
        endpoint = connect_lookup.owned_service(self._state, namespace_id, name)
        if endpoint is None:
            return None
        port = connect_lookup.offered_port(self._state, endpoint)
        serving = self._serving(endpoint)
        service = self._state.services.get(endpoint.owner_arn or "")
        routing = connect_routing.Routing(0)
        if service is not None:
            routing = connect_routing.routing(self._state, service, port).careful({t.alternate for t in serving})
        document = ConnectDocument(
            targets=(*serving, *self._draining(endpoint)),
            alternate_share=routing.alternate_share,
            test=routing.test,
            routing=routing.revision,
            idle_timeout=port.idle_timeout if port is not None else None,
            request_timeout=port.request_timeout if port is not None else None,
        )
        return Placed(document, connect_lookup.client_hosts(self._state, namespace_id))

    def _serving(self, endpoint: DiscoveryService) -> list[ConnectTarget]:
        places: dict[bool, list[DiscoveryInstance]] = {False: [], True: []}
        for instance in self._state.discovery_instances.by("service", endpoint.id):
            task = self._state.tasks.get(instance.task_arn or "")
            if task is not None:
                places[task.connect is not None and task.connect.alternate].append(instance)
        return [
            ConnectTarget(
                address=instance.attributes.get("AWS_INSTANCE_IPV4", ""),
                port=int(instance.attributes.get("AWS_INSTANCE_PORT", "0")),
                availability_zone=instance.attributes.get("AVAILABILITY_ZONE", ""),
                alternate=alternate,
            )
            for alternate, instances in places.items()
            # All of them when none is healthy: one may answer all the same.
            for instance in sorted(
                [i for i in instances if i.health != "UNHEALTHY"] or instances, key=lambda i: i.instance_id
            )
        ]

    def _draining(self, endpoint: DiscoveryService) -> list[ConnectTarget]:
        """Tasks that get nothing new, and may have requests in flight."""
        found = []
        for task in self._state.tasks.by("connect_draining", endpoint.namespace_id):
            for port in draining_ports(task):
                if port.discovery_name == endpoint.name and task.service_arn == endpoint.owner_arn:
                    address = task.eni.private_ipv4_address if task.eni is not None else ""
                    alternate = task.connect is not None and task.connect.alternate
                    found.append(
                        ConnectTarget(address=address, port=port.ingress_port, draining=True, alternate=alternate)
                    )
        return found


class ConnectChanges:
    """Tells the host board which documents to look at again.  Subscribes at construction."""

    def __init__(self, state: State, changed: Callable[[str, str], None]) -> None:
        self._state = state
        self._changed = changed
        #: ``namespace id/node id`` of hosts with tasks that may call names, as hosts were told last.
        self._clients = {str(place) for place in state.tasks.values("connect_clients")}
        state.store.subscribe("discovery_service", self._endpoint)
        state.store.subscribe("discovery_instance", self._instance)
        state.store.subscribe("service", self._service)
        state.store.subscribe("service_deployment", self._deployment)
        state.store.subscribe("task", self._task)

    def _endpoint(self, notice: Notice) -> None:
        endpoint: DiscoveryService = notice.new or notice.old
        if endpoint.owner_arn is not None:
            self._changed("connect", endpoint_key(endpoint.namespace_id, endpoint.name))

    def _instance(self, notice: Notice) -> None:
        endpoint = self._state.discovery_services.get((notice.new or notice.old).service_id)
        if endpoint is not None and endpoint.owner_arn is not None:
            self._changed("connect", endpoint_key(endpoint.namespace_id, endpoint.name))

    def _service(self, notice: Notice) -> None:
        old: Service | None = notice.old
        new: Service | None = notice.new
        if old is not None and new is not None and _told(old) == _told(new):
            return
        for service in (old, new):
            if service is not None:
                self._all_of(service)

    def _deployment(self, notice: Notice) -> None:
        """How much traffic a deployment shifts changes, and at its end nothing is shifted any more."""
        old: ServiceDeployment | None = notice.old
        new: ServiceDeployment | None = notice.new
        record = new or old
        if record is None or record.shift is None:
            return
        if old is not None and new is not None and old.shift == new.shift and old.finished == new.finished:
            return
        service = self._state.services.get(record.service_arn)
        if service is not None:
            self._all_of(service)

    def _all_of(self, service: Service) -> None:
        """All endpoints of a service are to be looked at."""
        for deployment in service.deployments:
            if deployment.connect is not None:
                for port in deployment.connect.ports:
                    self._changed("connect", endpoint_key(deployment.connect.namespace_id, port.discovery_name))

    def _task(self, notice: Notice) -> None:
        old: Task | None = notice.old
        new: Task | None = notice.new
        task = new or old
        if task is None or task.connect is None:
            return
        namespace_id = task.connect.namespace_id
        for node_id in {each.node_id for each in (old, new) if each is not None and each.node_id is not None}:
            place = f"{namespace_id}/{node_id}"
            if (place in self._clients) != bool(self._state.tasks.count("connect_clients", place)):
                # Another host has to know all names of the namespace, or one less.
                self._clients ^= {place}
                for endpoint in self._state.discovery_services.by("namespace", namespace_id):
                    if endpoint.owner_arn is not None:
                        self._changed("connect", endpoint_key(endpoint.namespace_id, endpoint.name))
        if _drains(old) != _drains(new):
            for port in task.connect.ports:
                self._changed("connect", endpoint_key(namespace_id, port.discovery_name))


def draining_ports(task: Task) -> tuple[ConnectPort, ...]:
    """The ports at which a task that leaves may have requests in flight."""
    if task.connect is None or task.connect_draining_since is None or task.stopped:
        return ()
    return task.connect.ports


def attach(board: HostBoard, state: State) -> None:
    """Have the board serve the documents and hear of what changes them."""
    board.add_source(ConnectDocuments(state))
    ConnectChanges(state, board.changed)


def _drains(task: Task | None) -> bool:
    return task is not None and bool(draining_ports(task))


def _told(service: Service) -> tuple[Any, ...]:
    """What of a service documents depend on: its ports, and which deployment is in production."""
    parts = [
        (
            d.connect.ports,
            d.connect.alternate,
            d.id,
            d.status,
            d.rollout_state,
            d.rolls_back,
            d.first_running_at is None,
        )
        for d in service.deployments
        if d.connect is not None and d.connect.ports
    ]
    return (service.production_id, *parts) if parts else ()
