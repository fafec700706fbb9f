"""Namespaces: create, look at, change, delete.

AWS does these in the background and tells by GetOperation; here they are done when the call
is answered, and GetOperation says SUCCESS.  A public DNS namespace is one that every network of
this installation resolves; nothing is told to the Internet's name servers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from openecs.api.servicediscovery import errors, filters, records
from openecs.api.servicediscovery.lookup import find_namespace, resource_arn
from openecs.api.servicediscovery.pages import page as paged
from openecs.model.discovery import MAX_NAME, Namespace
from openecs.model.load_balancer import DNS_ZONE
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

#: Whether a region has a VPC of that id.
VpcExists = Callable[[str, str], bool]
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
#: Zones that the resolver answers itself; a namespace in their place would hide them.
_RESERVED = (DNS_ZONE, "compute.internal", "ec2.internal", "in-addr.arpa", "ip6.arpa")

_SAME = frozenset({"EQ", "BEGINS_WITH"})
_RULES: filters.Rules[Namespace] = {
    "TYPE": (lambda n: n.type, _SAME),
    "NAME": (lambda n: n.name, _SAME),
    "HTTP_NAME": (lambda n: n.discovery_name, _SAME),
    "RESOURCE_OWNER": (lambda _: "SELF", frozenset({"EQ"})),
}


class Namespaces:
    """The namespace operations."""

    def __init__(self, state: State, pagination: Pagination, vpc_exists: VpcExists) -> None:
        self._state = state
        self._pagination = pagination
        self._vpc_exists = vpc_exists

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateHttpNamespace": self.create_http,
            "CreatePrivateDnsNamespace": self.create_private_dns,
            "CreatePublicDnsNamespace": self.create_public_dns,
            "GetNamespace": self.get,
            "ListNamespaces": self.list_all,
            "UpdateHttpNamespace": self.update,
            "UpdatePrivateDnsNamespace": self.update,
            "UpdatePublicDnsNamespace": self.update,
            "DeleteNamespace": self.delete,
        }

    def create_http(self, call: Call, request: sd.CreateHttpNamespaceRequest) -> sd.CreateHttpNamespaceResponse:
        """A namespace that only DiscoverInstances knows."""
        return sd.CreateHttpNamespaceResponse(operation_id=self._create(call, request, "HTTP"))

    def create_private_dns(
        self, call: Call, request: sd.CreatePrivateDnsNamespaceRequest
    ) -> sd.CreatePrivateDnsNamespaceResponse:
        """A namespace whose names the resolver answers to the tasks of one VPC."""
        _check_domain(request.name)
        if not self._vpc_exists(call.region, request.vpc):
            raise errors.invalid_input(f"The VPC that you chose, {request.vpc}, does not exist in this region")
        ttl = request.properties.dns_properties.soa.ttl if request.properties else None
        operation = self._create(call, request, "DNS_PRIVATE", vpc_id=request.vpc, soa_ttl=ttl)
        return sd.CreatePrivateDnsNamespaceResponse(operation_id=operation)

    def create_public_dns(
        self, call: Call, request: sd.CreatePublicDnsNamespaceRequest
    ) -> sd.CreatePublicDnsNamespaceResponse:
        """A namespace whose names the resolver answers to everybody."""
        _check_domain(request.name)
        ttl = request.properties.dns_properties.soa.ttl if request.properties else None
        operation = self._create(call, request, "DNS_PUBLIC", soa_ttl=ttl)
        return sd.CreatePublicDnsNamespaceResponse(operation_id=operation)

    def get(self, call: Call, request: sd.GetNamespaceRequest) -> sd.GetNamespaceResponse:
        """One namespace."""
        found = find_namespace(self._state, call, request.id)
        shown = sd.Namespace(
            **_members(call, found),
            service_count=self._services(found),
            creator_request_id=found.creator_request_id,
        )
        return sd.GetNamespaceResponse(namespace=shown)

    def list_all(self, call: Call, request: sd.ListNamespacesRequest) -> sd.ListNamespacesResponse:
        """All namespaces of the region that match."""
        found = filters.apply(self._state.namespaces.by("region", call.region), request.filters, _RULES)
        page, token = paged(
            self._pagination,
            sorted(found, key=lambda n: n.id),
            max_results=request.max_results,
            next_token=request.next_token,
            scope=f"ListNamespaces/{call.region}/{request.filters!r}",
            key=lambda n: n.id,
        )
        shown = tuple(sd.NamespaceSummary(**_members(call, n), service_count=self._services(n)) for n in page)
        return sd.ListNamespacesResponse(namespaces=shown, next_token=token)

    def update(
        self,
        call: Call,
        request: sd.UpdateHttpNamespaceRequest
        | sd.UpdatePrivateDnsNamespaceRequest
        | sd.UpdatePublicDnsNamespaceRequest,
    ) -> msgspec.Struct:
        """Change the description or the TTL of the SOA record."""
        found = find_namespace(self._state, call, request.id)
        wanted, response = _UPDATES[type(request)]
        if found.type != wanted:
            raise errors.invalid_input(f"The namespace {found.id} is of the type {found.type}, not {wanted}")
        change = request.namespace
        description = found.description if change.description is None else change.description
        ttl = found.soa_ttl
        if not isinstance(change, sd.HttpNamespaceChange) and change.properties is not None:
            ttl = change.properties.dns_properties.soa.ttl
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(found, description=description, soa_ttl=ttl))
            operation = records.note_operation(self._state, tx, call, "UPDATE_NAMESPACE", namespace=found.id)
        return response(operation_id=operation)

    def delete(self, call: Call, request: sd.DeleteNamespaceRequest) -> sd.DeleteNamespaceResponse:
        """Forget a namespace that has no services any more."""
        found = find_namespace(self._state, call, request.id)
        if self._services(found):
            raise errors.in_use("Namespace has associated services; delete the services before deleting the namespace")
        with self._state.transaction() as tx:
            tx.delete(found)
            records.drop_tags(self._state, tx, found.arn)
            operation = records.note_operation(self._state, tx, call, "DELETE_NAMESPACE", namespace=found.id)
        return sd.DeleteNamespaceResponse(operation_id=operation)

    def _services(self, namespace: Namespace) -> int:
        return self._state.discovery_services.count("namespace", namespace.id)

    def _create(
        self,
        call: Call,
        request: sd.CreateHttpNamespaceRequest
        | sd.CreatePrivateDnsNamespaceRequest
        | sd.CreatePublicDnsNamespaceRequest,
        kind: Literal["HTTP", "DNS_PRIVATE", "DNS_PUBLIC"],
        *,
        vpc_id: str | None = None,
        soa_ttl: int | None = None,
    ) -> str:
        known = self._state.namespaces.by("region", call.region)
        same_name = [n for n in known if n.name.lower() == request.name.lower()]
        for other in same_name:
            if (other.type, other.vpc_id) != (kind, vpc_id):
                continue
            if request.creator_request_id and other.creator_request_id == request.creator_request_id:
                return self._made_by(call, other)
            raise errors.namespace_exists(other)
        identifier = f"ns-{records.short_id(call)}"
        created = Namespace(
            id=identifier,
            arn=resource_arn(call, "namespace", identifier),
            region=call.region,
            name=request.name,
            type=kind,
            created_at=call.now,
            creator_request_id=request.creator_request_id or call.ids.uuid(),
            description=request.description,
            vpc_id=vpc_id,
            hosted_zone_id=f"Z{records.short_id(call, 20).upper()}" if kind != "HTTP" else None,
            http_name=_http_name(request.name, identifier) if _taken(known, request.name) else "",
            soa_ttl=60 if soa_ttl is None else soa_ttl,
        )
        with self._state.transaction() as tx:
            tx.put(created)
            records.put_tags(tx, created.arn, request.tags)
            return records.note_operation(self._state, tx, call, "CREATE_NAMESPACE", namespace=created.id)

    def _made_by(self, call: Call, namespace: Namespace) -> str:
        """The operation that made a namespace; a new record of it when that is forgotten."""
        for operation in self._state.discovery_operations.by("region", call.region):
            if operation.type == "CREATE_NAMESPACE" and operation.targets.get("NAMESPACE") == namespace.id:
                return operation.id
        with self._state.transaction() as tx:
            return records.note_operation(self._state, tx, call, "CREATE_NAMESPACE", namespace=namespace.id)


_UPDATES: dict[type, tuple[str, Callable[..., msgspec.Struct]]] = {
    sd.UpdateHttpNamespaceRequest: ("HTTP", sd.UpdateHttpNamespaceResponse),
    sd.UpdatePrivateDnsNamespaceRequest: ("DNS_PRIVATE", sd.UpdatePrivateDnsNamespaceResponse),
    sd.UpdatePublicDnsNamespaceRequest: ("DNS_PUBLIC", sd.UpdatePublicDnsNamespaceResponse),
}


def _taken(known: tuple[Namespace, ...], name: str) -> bool:
    return any(other.discovery_name == name for other in known)


def _http_name(name: str, identifier: str) -> str:
    """A name of its own for DiscoverInstances when another namespace has the plain one."""
    return f"{name}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"


def _check_domain(name: str) -> None:
    """Raise InvalidInput for what cannot be a DNS zone, or is one of the installation's own."""
    lower = name.lower()
    labels = lower.split(".")
    if len(lower) > MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise errors.invalid_input(f"{name} is no valid DNS name")
    for reserved in _RESERVED:
        if lower == reserved or lower.endswith(f".{reserved}"):
            raise errors.invalid_input(f"The name {name} is reserved: it would hide names of {reserved}")


def _members(call: Call, namespace: Namespace) -> dict[str, Any]:
    """What GetNamespace and ListNamespaces both show."""
    dns = None
    if namespace.type != "HTTP":
        dns = sd.DnsProperties(hosted_zone_id=namespace.hosted_zone_id, soa=sd.SOA(ttl=namespace.soa_ttl))
    return {
        "id": namespace.id,
        "arn": namespace.arn,
        "resource_owner": call.account,
        "name": namespace.name,
        "type": namespace.type,
        "description": namespace.description,
        "properties": sd.NamespaceProperties(
            dns_properties=dns, http_properties=sd.HttpProperties(http_name=namespace.discovery_name)
        ),
        "create_date": namespace.created_at,
    }
