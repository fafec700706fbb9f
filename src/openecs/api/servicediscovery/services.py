"""Services of namespaces: create, look at, change, delete."""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.servicediscovery import errors, filters, records, service_rules
from openecs.api.servicediscovery.lookup import find_namespace, find_service, identifier, namespace_of, resource_arn
from openecs.api.servicediscovery.pages import page as paged
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

_EQ = frozenset({"EQ"})
_RULES: filters.Rules[DiscoveryService] = {
    "NAMESPACE_ID": (lambda s: s.namespace_id, _EQ),
    "RESOURCE_OWNER": (lambda _: "SELF", _EQ),
}


class DiscoveryServices:
    """The service operations."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateService": self.create,
            "GetService": self.get,
            "ListServices": self.list_all,
            "UpdateService": self.update,
            "DeleteService": self.delete,
        }

    def create(self, call: Call, request: sd.CreateServiceRequest) -> sd.CreateServiceResponse:
        """A service without instances; a repeated request gets the service that the first one made."""
        named = request.namespace_id or (request.dns_config.namespace_id if request.dns_config else None)
        if not named:
            raise errors.invalid_input("NamespaceId must be specified")
        namespace = find_namespace(self._state, call, named)
        kind = service_rules.service_type(namespace, request)
        existing = self._by_name(namespace, request.name)
        if existing is not None:
            if request.creator_request_id and existing.creator_request_id == request.creator_request_id:
                return sd.CreateServiceResponse(service=self._shown(call, existing))
            raise errors.service_exists(existing)
        custom = request.health_check_custom_config
        number = f"srv-{records.short_id(call)}"
        created = DiscoveryService(
            id=number,
            arn=resource_arn(call, "service", number),
            region=call.region,
            name=request.name,
            namespace_id=namespace.id,
            created_at=call.now,
            creator_request_id=request.creator_request_id or call.ids.uuid(),
            type=kind,
            description=request.description,
            dns_config=service_rules.dns_config(namespace, request.dns_config) if request.dns_config else None,
            # AWS has only this one left, whatever is asked for.
            health_check_custom_config=sd.HealthCheckCustomConfig(failure_threshold=1) if custom else None,
        )
        with self._state.transaction() as tx:
            tx.put(created)
            records.put_tags(tx, created.arn, request.tags)
        return sd.CreateServiceResponse(service=self._shown(call, created))

    def get(self, call: Call, request: sd.GetServiceRequest) -> sd.GetServiceResponse:
        """One service."""
        return sd.GetServiceResponse(service=self._shown(call, find_service(self._state, call, request.id)))

    def list_all(self, call: Call, request: sd.ListServicesRequest) -> sd.ListServicesResponse:
        """All services of the region that match."""
        wanted = tuple(_by_id(call, one) for one in request.filters or ())
        found = filters.apply(self._state.discovery_services.by("region", call.region), wanted, _RULES)
        page, token = paged(
            self._pagination,
            sorted(found, key=lambda s: s.id),
            max_results=request.max_results,
            next_token=request.next_token,
            scope=f"ListServices/{call.region}/{request.filters!r}",
            key=lambda s: s.id,
        )
        shown = tuple(sd.ServiceSummary(**self._members(call, service)) for service in page)
        return sd.ListServicesResponse(services=shown, next_token=token)

    def update(self, call: Call, request: sd.UpdateServiceRequest) -> sd.UpdateServiceResponse:
        """Change the description and the TTLs; DnsConfig left out takes the DNS records away."""
        service = find_service(self._state, call, request.id)
        namespace = namespace_of(self._state, service)
        change = request.service
        if namespace.type == "HTTP":
            raise errors.invalid_input(f"Services of the HTTP namespace {namespace.id} cannot be updated")
        if change.health_check_config is not None:
            raise errors.not_supported("HealthCheckConfig")
        changes: dict[str, Any] = {"dns_config": None, "type": "HTTP"}
        if change.dns_config is not None:
            changes = {"dns_config": _new_records(service, change.dns_config)}
        if change.description is not None:
            changes["description"] = change.description
        with self._state.transaction() as tx:
            tx.put(msgspec.structs.replace(service, **changes))
            operation = records.note_operation(self._state, tx, call, "UPDATE_SERVICE", service=service.id)
        return sd.UpdateServiceResponse(operation_id=operation)

    def delete(self, call: Call, request: sd.DeleteServiceRequest) -> sd.DeleteServiceResponse:
        """Forget a service that has no instances any more."""
        service = find_service(self._state, call, request.id)
        if self._state.discovery_instances.count("service", service.id):
            raise errors.in_use(
                "Service contains registered instances; delete the instances before deleting the service"
            )
        if service.owner_arn is not None:
            raise errors.in_use(f"Service is managed by Amazon ECS Service Connect for {service.owner_arn}")
        with self._state.transaction() as tx:
            tx.delete(service)
            records.drop_tags(self._state, tx, service.arn)
        return sd.DeleteServiceResponse()

    def _by_name(self, namespace: Namespace, name: str) -> DiscoveryService | None:
        """A service of that name; in DNS upper and lower case are the same."""
        for other in self._state.discovery_services.by("namespace", namespace.id):
            if other.name == name or (namespace.type != "HTTP" and other.name.lower() == name.lower()):
                return other
        return None

    def _members(self, call: Call, service: DiscoveryService) -> dict[str, Any]:
        return {
            "id": service.id,
            "arn": service.arn,
            "resource_owner": call.account,
            "name": service.name,
            "description": service.description,
            "instance_count": self._state.discovery_instances.count("service", service.id),
            "dns_config": service.dns_config,
            "type": service.type,
            "health_check_custom_config": service.health_check_custom_config,
            "create_date": service.created_at,
            "created_by_account": call.account,
        }

    def _shown(self, call: Call, service: DiscoveryService) -> sd.Service:
        return sd.Service(
            **self._members(call, service),
            namespace_id=service.namespace_id,
            creator_request_id=service.creator_request_id,
        )


def _by_id(call: Call, wanted: sd.ServiceFilter) -> sd.ServiceFilter:
    """A filter that names namespaces by their ids."""
    if wanted.name != "NAMESPACE_ID":
        return wanted
    values = tuple(identifier(call, value, "namespace") or value for value in wanted.values)
    return msgspec.structs.replace(wanted, values=values)


def _new_records(service: DiscoveryService, change: sd.DnsConfigChange) -> sd.DnsConfig:
    """The DNS settings with other TTLs.  Raises InvalidInput when the record types are others."""
    if service.dns_config is None:
        raise errors.invalid_input(f"The service {service.id} has no DnsConfig, and none can be added to it")
    before = {record.type for record in service.dns_config.dns_records}
    if {record.type for record in change.dns_records} != before or len(change.dns_records) != len(before):
        raise errors.invalid_input("The types of a service's DnsRecords cannot be changed")
    return msgspec.structs.replace(service.dns_config, dns_records=change.dns_records)
