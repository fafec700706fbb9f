"""CreateService, UpdateService, DeleteService, DescribeServices, ListServices.

Handlers only record what is wanted; ``openecs.control.services`` makes it so and is woken by
the records' changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.api.ecs import (
    connect_namespaces,
    launch_settings,
    lookup,
    provider_strategy,
    run_validation,
    service_connect,
    service_load_balancers,
    service_lookup,
    service_registries,
    service_traffic,
)
from openecs.api.ecs import service_records as records
from openecs.api.ecs import service_scheduling as scheduling
from openecs.api.ecs import service_tokens as tokens
from openecs.api.ecs import service_update as updates
from openecs.api.ecs import service_validation as validation
from openecs.api.ecs.definition.lookup import resolve
from openecs.api.ecs.service_creation import ServiceCreation, same
from openecs.api.ecs.service_views import ServiceViews
from openecs.control import connect_lookup
from openecs.control.region_networks import RegionNetworks
from openecs.errors import invalid_parameter
from openecs.model import tag_rules
from openecs.model.cluster import Cluster
from openecs.model.service import Deployment, Service, ServiceEvents
from openecs.model.tags import ResourceTags
from openecs.planning import target_slots
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESCRIBED = 10
LIST_DEFAULT = 10
LIST_LIMIT = 100


class Services:
    """The service operations of the ECS API."""

    def __init__(self, state: State, pagination: Pagination, networks: RegionNetworks) -> None:
        self._state = state
        self._pagination = pagination
        self._networks = networks
        self._creation = ServiceCreation(state, networks)
        self._views = ServiceViews(state)

    def handlers(self) -> Handlers:
        """Operation name to handler."""
        return {
            "CreateService": self.create,
            "UpdateService": self.update,
            "DeleteService": self.delete,
            "DescribeServices": self.describe,
            "ListServices": self.list,
            "ListServicesByNamespace": self.list_by_namespace,
        }

    def create(self, call: Call, request: ecs.CreateServiceRequest) -> ecs.CreateServiceResponse:
        """Make a service ACTIVE; the same request again answers with the same service.

        A repeated client token answers so whatever has become of its task definition.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        validation.check_name(request.service_name)
        validation.check_client_token(request.client_token)
        existing = self._state.services.get(service_lookup.service_arn(cluster, request.service_name))
        token = tokens.for_create(cluster, request, call.now) if request.client_token else None
        if token is not None and tokens.used_before(self._state, token, existing):
            assert existing is not None, token.token  # noqa: S101 -- it was compared
            return ecs.CreateServiceResponse(service=self._views.view(existing, with_tags=True))
        service = self._creation.service(call, cluster, request)
        tags = request.tags or ()
        tag_rules.check(tags)
        if existing is not None and existing.status == "DRAINING":
            raise validation.still_draining()
        if existing is not None and existing.status == "ACTIVE":
            if not same(existing, service):
                raise validation.not_idempotent()
            return ecs.CreateServiceResponse(service=self._views.view(existing, with_tags=True))
        with self._state.transaction() as tx:
            # A name that an INACTIVE service had begins anew.
            self._forget_history(tx, service.arn)
            if service.primary is not None:
                service = self._begin(tx, call, service, service.primary, ())
            tx.put(service)
            tx.put(ServiceEvents(service_arn=service.arn))
            tx.put(ResourceTags(arn=service.arn, tags=tag_rules.merge((), tags)))
            if token is not None:
                tx.put(token)
        return ecs.CreateServiceResponse(service=self._views.view(service, with_tags=True))

    def update(self, call: Call, request: ecs.UpdateServiceRequest) -> ecs.UpdateServiceResponse:
        """Change a service; what its tasks are made of is changed by a new deployment."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        service = service_lookup.active(self._state, cluster, request.service)
        validation.refuse_for_update(request, service.deployment_controller)
        if service.scheduling_strategy == "DAEMON":
            scheduling.check_daemon_update(request)
        if service.deployment_controller == "EXTERNAL":
            scheduling.check_external_update(request)
        validation.check_desired_count(request.desired_count)
        validation.check_grace_period(request.health_check_grace_period_seconds)
        current = service.primary
        begun: Deployment | None = None
        if current is not None and service.deployment_controller == "ECS":
            wanted = self._wanted_deployment(call, cluster, service, request, current)
            if updates.starts_deployment(request, current, wanted):
                strategy = updates.strategy(service, request)
                alternate = service_traffic.takes_alternate(service, wanted, strategy)
                placed = service_connect.in_place(service, wanted, strategy)
                begun = msgspec.structs.replace(wanted, alternate=alternate, connect=placed)
        runs = begun or current
        changed = updates.apply(service, request, begun, now=call.now)
        if runs is not None:
            strategy = changed.deployment_configuration.strategy
            service_traffic.check_strategy(strategy, runs.load_balancers, runs.service_connect)
            service_traffic.check_change(self._state, service, strategy)
        run_validation.check_placement(
            changed.placement_constraints, changed.placement_strategy, runs.launch_type if runs else "EC2"
        )
        with self._state.transaction() as tx:
            if begun is not None:
                base = target_slots.base(service)
                changed = self._begin(tx, call, changed, begun, _deployed_revisions(service), base)
            tx.put(changed)
        return ecs.UpdateServiceResponse(service=self._views.view(changed, with_tags=False))

    def delete(self, call: Call, request: ecs.DeleteServiceRequest) -> ecs.DeleteServiceResponse:
        """Begin to delete a service: DRAINING until its tasks are on their way down."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        service = service_lookup.find(self._state, cluster, request.service)
        if service is None or service.status == "INACTIVE":
            raise validation.not_found()
        if service.status == "ACTIVE":
            scaled = service.scheduling_strategy == "REPLICA" and service.desired_count > 0
            if scaled and not request.force:
                raise invalid_parameter("The service cannot be stopped while it is scaled above 0.")
            service = msgspec.structs.replace(service, status="DRAINING", desired_count=0, steady=False)
            with self._state.transaction() as tx:
                tx.put(service)
        return ecs.DeleteServiceResponse(service=self._views.view(service, with_tags=False))

    def describe(self, call: Call, request: ecs.DescribeServicesRequest) -> ecs.DescribeServicesResponse:
        """Up to ten services of a cluster, DRAINING and INACTIVE ones included."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        if not request.services:
            raise invalid_parameter("Services cannot be empty.")
        if len(request.services) > MAX_DESCRIBED:
            raise invalid_parameter(f"services can have at most {MAX_DESCRIBED} items.")
        with_tags = "TAGS" in (request.include or ())
        found: dict[str, ecs.Service] = {}
        missing: dict[str, ecs.Failure] = {}
        for reference in request.services:
            arn = service_lookup.service_arn(cluster, reference)
            service = service_lookup.find(self._state, cluster, reference)
            if service is None:
                missing[arn] = ecs.Failure(arn=arn, reason="MISSING")
            else:
                found[arn] = self._views.view(service, with_tags=with_tags)
        return ecs.DescribeServicesResponse(services=tuple(found.values()), failures=tuple(missing.values()))

    def list(self, call: Call, request: ecs.ListServicesRequest) -> ecs.ListServicesResponse:
        """ARNs of the ACTIVE services of a cluster."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        arns = sorted(
            service.arn
            for service in self._state.services.by("cluster", cluster.arn)
            if service.status == "ACTIVE" and _matches(service, request)
        )
        filters = (request.launch_type, request.scheduling_strategy, request.resource_management_type)
        page, token = self._pagination.paginate(
            arns,
            max_results=request.max_results,
            next_token=request.next_token,
            default=LIST_DEFAULT,
            limit=LIST_LIMIT,
            scope=f"ListServices:{cluster.arn}:{filters}",
        )
        return ecs.ListServicesResponse(service_arns=tuple(page), next_token=token)

    def list_by_namespace(
        self,
        call: Call,
        request: ecs.ListServicesByNamespaceRequest,
    ) -> ecs.ListServicesByNamespaceResponse:
        """ARNs of the services of all clusters that are in a namespace through Service Connect."""
        namespace = connect_namespaces.find(self._state, call, request.namespace)
        if namespace is None:
            raise connect_namespaces.not_found(request.namespace)
        connected = connect_lookup.connected(self._state, namespace.id)
        page, token = self._pagination.paginate(
            sorted(service.arn for service, _ in connected if service.status == "ACTIVE"),
            max_results=request.max_results,
            next_token=request.next_token,
            default=LIST_DEFAULT,
            limit=LIST_LIMIT,
            scope=f"ListServicesByNamespace:{namespace.id}",
        )
        return ecs.ListServicesByNamespaceResponse(service_arns=tuple(page), next_token=token)

    def _wanted_deployment(
        self, call: Call, cluster: Cluster, service: Service, request: ecs.UpdateServiceRequest, current: Deployment
    ) -> Deployment:
        """The PRIMARY deployment that the request would start, checked as a whole."""
        if request.task_definition:
            definition = resolve(self._state, call.region, request.task_definition)
        else:
            known = self._state.task_definitions.get(current.task_definition_arn)
            assert known is not None, current.task_definition_arn  # noqa: S101 -- it is in use, so it is kept
            definition = known
        strategy, launch_type = current.capacity_provider_strategy, current.launch_type
        if request.capacity_provider_strategy:
            strategy, launch_type = provider_strategy.resolve(
                self._state, cluster, None, request.capacity_provider_strategy
            )
        elif request.capacity_provider_strategy is not None:
            # An empty list goes back to the launch type that the providers stood for.
            strategy = ()
        network = request.network_configuration or current.network_configuration
        version = request.platform_version
        if version is None and launch_type == "FARGATE":
            version = current.platform_version
        settings = launch_settings.LaunchSettings(
            definition.arn, launch_type, strategy, version, validation.network_configuration(network)
        )
        changed = (request.task_definition, request.network_configuration, request.platform_version)
        if any(changed) or launch_type != current.launch_type:
            settings = launch_settings.check(
                call,
                self._networks,
                definition,
                launch_type=launch_type,
                strategy=strategy,
                platform_version=version,
                network=network,
            )
        balancers = current.load_balancers
        if request.load_balancers is not None or (balancers and (request.task_definition or _shifts(request))):
            given = balancers if request.load_balancers is None else request.load_balancers
            balancers = service_load_balancers.check(
                self._state, call.region, given, definition.definition, launch_type=launch_type
            )
        registries = current.service_registries
        if request.service_registries is not None or (registries and request.task_definition):
            wanted = registries if request.service_registries is None else request.service_registries
            registries = service_registries.check(
                self._state, call.region, wanted, definition.definition, launch_type=launch_type
            )
        configuration = request.service_connect_configuration
        connect = service_connect.settle(
            self._state,
            call,
            cluster,
            service.arn,
            current.service_connect if configuration is None else configuration,
            definition.definition,
            launch_type=launch_type,
            before=current,
        )
        settings = settings._replace(
            load_balancers=balancers,
            service_registries=registries,
            service_connect=connect.configuration,
            connect=connect.connect,
            monitoring=validation.monitoring(request.monitoring, current.monitoring),
        )
        return records.deployment(service.arn, settings, now=call.now, ids=call.ids)

    def _begin(
        self,
        tx: Transaction,
        call: Call,
        service: Service,
        begun: Deployment,
        sources: tuple[str, ...],
        base: Deployment | None = None,
    ) -> Service:
        """Write the records of a deployment that starts; returns the service that points at them.

        ``base`` has the production traffic until now.
        """
        arn = records.service_deployment_arn(service.arn, call.ids)
        service_connect.make_endpoints(self._state, tx, call, service.arn, begun)
        tx.put(records.revision(service, begun))
        attempt = records.service_deployment(service, begun, arn, sources)
        tx.put(attempt)
        return msgspec.structs.replace(
            service,
            service_deployment_arn=arn,
            production_id=base.id if base is not None and attempt.shift is not None else None,
        )

    def _forget_history(self, tx: Transaction, service_arn: str) -> None:
        history: tuple[Any, ...] = (
            *self._state.service_deployments.by("service", service_arn),
            *self._state.service_revisions.by("service", service_arn),
        )
        for record in history:
            tx.delete(record)


def _deployed_revisions(service: Service) -> tuple[str, ...]:
    """The revisions that are deployed now, newest first."""
    return tuple(d.revision_arn for d in service.deployments if d.revision_arn and d.status != "INACTIVE")


def _shifts(request: ecs.UpdateServiceRequest) -> bool:
    """Whether the request asks for a strategy: what its load balancers need may be gone since."""
    given = request.deployment_configuration
    return given is not None and given.strategy not in (None, "ROLLING")


def _matches(service: Service, request: ecs.ListServicesRequest) -> bool:
    primary = service.primary
    if request.launch_type:
        if primary is not None and (primary.launch_type != request.launch_type or primary.capacity_provider_strategy):
            return False
        if primary is None and request.launch_type != "EC2":
            return False
    if request.scheduling_strategy and service.scheduling_strategy != request.scheduling_strategy:
        return False
    # Services that ECS manages for the customer do not exist here.
    return request.resource_management_type != "ECS"
