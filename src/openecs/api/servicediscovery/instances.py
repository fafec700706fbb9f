"""Instances of services: register, deregister, look at, and their custom health."""

from __future__ import annotations

from openecs.api.servicediscovery import errors, instance_rules, records
from openecs.api.servicediscovery.lookup import find_instance, find_service, namespace_of
from openecs.api.servicediscovery.pages import page as paged
from openecs.control import discovery
from openecs.errors import AWSError
from openecs.model.discovery import DiscoveryInstance, DiscoveryService
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_INSTANCES = 1000


class Instances:
    """The instance operations."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "RegisterInstance": self.register,
            "DeregisterInstance": self.deregister,
            "GetInstance": self.get,
            "ListInstances": self.list_all,
            "GetInstancesHealthStatus": self.health,
            "UpdateInstanceCustomHealthStatus": self.update_health,
        }

    def register(self, call: Call, request: sd.RegisterInstanceRequest) -> sd.RegisterInstanceResponse:
        """Add an instance, or change the one of that id."""
        service = find_service(self._state, call, request.service_id)
        namespace = namespace_of(self._state, service)
        instance_rules.check_id(namespace, service, request.instance_id)
        attributes = instance_rules.check(
            namespace,
            service,
            request.attributes,
            lambda instance_id: self._address_of(call, instance_id),
            self._is_load_balancer,
        )
        existing = self._state.discovery_instances.get(f"{service.id}|{request.instance_id}")
        if existing is not None and existing.task_arn is not None:
            raise errors.invalid_input(_kept_by_ecs(existing, existing.task_arn))
        if existing is None and self._state.discovery_instances.count("service", service.id) >= MAX_INSTANCES:
            raise AWSError("ResourceLimitExceeded", f"A service can have no more than {MAX_INSTANCES} instances")
        instance = DiscoveryInstance(
            service_id=service.id,
            instance_id=request.instance_id,
            region=call.region,
            attributes=attributes,
            created_at=existing.created_at if existing else call.now,
            creator_request_id=request.creator_request_id or call.ids.uuid(),
            health=instance_rules.initial_health(service, attributes),
        )
        with self._state.transaction() as tx:
            discovery.put_instance(self._state, tx, instance)
            operation = records.note_operation(
                self._state, tx, call, "REGISTER_INSTANCE", instance=request.instance_id, service=service.id
            )
        return sd.RegisterInstanceResponse(operation_id=operation)

    def deregister(self, call: Call, request: sd.DeregisterInstanceRequest) -> sd.DeregisterInstanceResponse:
        """Take an instance away."""
        service = find_service(self._state, call, request.service_id)
        instance = find_instance(self._state, service, request.instance_id)
        if instance.task_arn is not None:
            raise errors.in_use(_kept_by_ecs(instance, instance.task_arn))
        with self._state.transaction() as tx:
            discovery.remove_instance(self._state, tx, instance)
            operation = records.note_operation(
                self._state, tx, call, "DEREGISTER_INSTANCE", instance=instance.instance_id, service=service.id
            )
        return sd.DeregisterInstanceResponse(operation_id=operation)

    def get(self, call: Call, request: sd.GetInstanceRequest) -> sd.GetInstanceResponse:
        """One instance."""
        service = find_service(self._state, call, request.service_id)
        instance = find_instance(self._state, service, request.instance_id)
        return sd.GetInstanceResponse(
            resource_owner=call.account,
            instance=sd.Instance(
                id=instance.instance_id,
                creator_request_id=instance.creator_request_id or None,
                attributes=instance.attributes,
                created_by_account=call.account,
            ),
        )

    def list_all(self, call: Call, request: sd.ListInstancesRequest) -> sd.ListInstancesResponse:
        """All instances of a service."""
        service = find_service(self._state, call, request.service_id)
        page, token = paged(
            self._pagination,
            self._sorted(service),
            max_results=request.max_results,
            next_token=request.next_token,
            scope=f"ListInstances/{service.id}",
            key=lambda i: i.instance_id,
        )
        shown = tuple(
            sd.InstanceSummary(id=i.instance_id, attributes=i.attributes, created_by_account=call.account) for i in page
        )
        return sd.ListInstancesResponse(resource_owner=call.account, instances=shown, next_token=token)

    def health(self, call: Call, request: sd.GetInstancesHealthStatusRequest) -> sd.GetInstancesHealthStatusResponse:
        """The health of a service's instances; ``UNKNOWN`` without a health check, as on AWS."""
        service = find_service(self._state, call, request.service_id)
        found = self._sorted(service)
        if request.instances:
            wanted = [find_instance(self._state, service, name) for name in dict.fromkeys(request.instances)]
            found = sorted(wanted, key=lambda i: i.instance_id)
        page, token = paged(
            self._pagination,
            found,
            max_results=request.max_results,
            next_token=request.next_token,
            scope=f"GetInstancesHealthStatus/{service.id}/{request.instances!r}",
            key=lambda i: i.instance_id,
        )
        return sd.GetInstancesHealthStatusResponse(
            status={i.instance_id: shown_health(service, i) for i in page}, next_token=token
        )

    def update_health(self, call: Call, request: sd.UpdateInstanceCustomHealthStatusRequest) -> None:
        """Say what the custom health check of an instance found."""
        service = find_service(self._state, call, request.service_id)
        instance = find_instance(self._state, service, request.instance_id)
        if not discovery.checks_health(service):
            raise errors.custom_health_not_found(service.id)
        if instance.task_arn is not None:
            raise errors.invalid_input(_kept_by_ecs(instance, instance.task_arn))
        with self._state.transaction() as tx:
            discovery.set_health(self._state, tx, instance, request.status)

    def _sorted(self, service: DiscoveryService) -> list[DiscoveryInstance]:
        found = self._state.discovery_instances.by("service", service.id)
        return sorted(found, key=lambda i: i.instance_id)

    def _is_load_balancer(self, name: str) -> bool:
        return any(balancer.dns_name.lower() == name for balancer in self._state.load_balancers)

    def _address_of(self, call: Call, instance_id: str) -> str | None:
        """The address of the host that is the EC2 instance of that id."""
        for instance in self._state.container_instances:
            if instance.region == call.region and instance.ec2_instance_id == instance_id:
                host = self._state.hosts.get(instance.node_id)
                return host.address if host is not None and host.address else None
        return None


def _kept_by_ecs(instance: DiscoveryInstance, task_arn: str) -> str:
    """Why nobody but ECS changes this one: whatever somebody else wrote would be gone at once."""
    return (
        f"The instance {instance.instance_id} is the task {task_arn}. Amazon ECS registers it and keeps its health "
        "that of its containers for as long as it runs; stop the task or take the registry off its service."
    )


def shown_health(service: DiscoveryService, instance: DiscoveryInstance) -> sd.HealthStatus:
    """The health of an instance as Cloud Map tells it."""
    return instance.health if discovery.checks_health(service) else "UNKNOWN"
