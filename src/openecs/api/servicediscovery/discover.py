"""DiscoverInstances: which instances of a service match, by attributes and health."""

from __future__ import annotations

from collections.abc import Mapping

from openecs.api.servicediscovery.instances import shown_health
from openecs.control import discovery
from openecs.errors import AWSError
from openecs.model.discovery import DiscoveryInstance, DiscoveryService, Namespace
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

DEFAULT_RESULTS = 100


class Discover:
    """The operations of programs that look for others."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DiscoverInstances": self.instances, "DiscoverInstancesRevision": self.revision}

    def instances(self, call: Call, request: sd.DiscoverInstancesRequest) -> sd.DiscoverInstancesResponse:
        """The instances that match, in changing order so that callers spread."""
        namespace, service = self._find(call, request)
        known = self._state.discovery_instances.by("service", service.id)
        found = [i for i in known if _has(i, request.query_parameters or {})]
        if request.optional_parameters:
            preferred = [i for i in found if _has(i, request.optional_parameters)]
            found = preferred or found
        found = of_health(service, found, request.health_status or "HEALTHY_OR_ELSE_ALL")
        start = int(call.request_id.replace("-", "")[:8] or "0", 16) % len(found) if found else 0
        turned = (found[start:] + found[:start])[: request.max_results or DEFAULT_RESULTS]
        shown = tuple(
            sd.HttpInstanceSummary(
                instance_id=i.instance_id,
                namespace_name=namespace.discovery_name,
                service_name=service.name,
                health_status=shown_health(service, i),
                attributes=i.attributes,
            )
            for i in turned
        )
        return sd.DiscoverInstancesResponse(instances=shown, instances_revision=service.revision)

    def revision(
        self, call: Call, request: sd.DiscoverInstancesRevisionRequest
    ) -> sd.DiscoverInstancesRevisionResponse:
        """A number that rises when DiscoverInstances would answer something else."""
        _, service = self._find(call, request)
        return sd.DiscoverInstancesRevisionResponse(instances_revision=service.revision)

    def _find(
        self, call: Call, request: sd.DiscoverInstancesRequest | sd.DiscoverInstancesRevisionRequest
    ) -> tuple[Namespace, DiscoveryService]:
        mine = request.owner_account in (None, call.account)
        for namespace in self._state.namespaces.by("region", call.region) if mine else ():
            if namespace.discovery_name != request.namespace_name:
                continue
            for service in self._state.discovery_services.by("namespace", namespace.id):
                if service.name == request.service_name:
                    return namespace, service
            raise AWSError("ServiceNotFound", f"No service found with name [{request.service_name}]")
        raise AWSError("NamespaceNotFound", f"No namespace found with name [{request.namespace_name}]")


def of_health(
    service: DiscoveryService, found: list[DiscoveryInstance], wanted: sd.HealthStatusFilter
) -> list[DiscoveryInstance]:
    """The instances of that health; all of them for a service without a health check."""
    if wanted == "ALL" or not discovery.checks_health(service):
        return found
    if wanted == "UNHEALTHY":
        return [i for i in found if i.health == "UNHEALTHY"]
    healthy = [i for i in found if i.health == "HEALTHY"]
    return healthy or (found if wanted == "HEALTHY_OR_ELSE_ALL" else [])


def _has(instance: DiscoveryInstance, wanted: Mapping[str, str]) -> bool:
    return all(instance.attributes.get(name) == value for name, value in wanted.items())
