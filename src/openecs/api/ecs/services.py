"""CreateService, UpdateService, DeleteService, DescribeServices and ListServices.

Handlers only record what is wanted; ``openecs.control.services`` makes it so and is woken by
the records' changes.
"""

from __future__ import annotations

import hashlib

import msgspec

from openecs.api.ecs import lookup, network_configuration, run_validation, service_lookup, service_view
from openecs.api.ecs import service_update as updates
from openecs.api.ecs import service_validation as validation
from openecs.api.ecs.definition.lookup import resolve
from openecs.control.launch import RegionNetworks
from openecs.errors import AWSError, invalid_parameter
from openecs.model import tag_rules
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.service import Deployment, Service, ServiceEvents
from openecs.model.tags import ResourceTags
from openecs.model.task_definition import TaskDefinition
from openecs.shapes import ecs
from openecs.state.state import State
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
        """Make a service ACTIVE; the same request again answers with the same service."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        validation.check_name(request.service_name)
        validation.check_client_token(request.client_token)
        validation.refuse_for_create(request, bool(cluster.default_capacity_provider_strategy))
        service = self._new_service(call, cluster, request)
        tags = request.tags or ()
        tag_rules.check(tags)
        token = _token(cluster, request, service.arn, call.now) if request.client_token else None
        existing = self._state.services.get(service.arn)
        if token is not None and self._used_before(token, existing):
            assert existing is not None, token.token  # noqa: S101 -- it was compared
            return ecs.CreateServiceResponse(service=self._view(existing, with_tags=True))
        if existing is not None and existing.status == "DRAINING":
            raise validation.still_draining()
        if existing is not None and existing.status == "ACTIVE":
            if not _same(existing, service):
                raise validation.not_idempotent()
            return ecs.CreateServiceResponse(service=self._view(existing, with_tags=True))
        with self._state.transaction() as tx:
            tx.put(service)
            # A name that an INACTIVE service had begins anew.
            tx.put(ServiceEvents(service_arn=service.arn))
            tx.put(ResourceTags(arn=service.arn, tags=tag_rules.merge((), tags)))
            if token is not None:
                tx.put(token)
        return ecs.CreateServiceResponse(service=self._view(service, with_tags=True))

    def update(self, call: Call, request: ecs.UpdateServiceRequest) -> ecs.UpdateServiceResponse:
        """Change a service; what its tasks are made of is changed by a new deployment."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        service = service_lookup.active(self._state, cluster, request.service)
        validation.refuse_for_update(request)
        validation.check_desired_count(request.desired_count)
        validation.check_grace_period(request.health_check_grace_period_seconds)
        current = service.primary
        assert current is not None, service.arn  # noqa: S101 -- every ACTIVE service has one
        run_validation.check_placement(
            request.placement_constraints or (),
            validation.placement_strategy(request.placement_strategy),
            current.launch_type,
        )
        wanted = self._wanted_deployment(call, request, current)
        changed = updates.apply(service, request, wanted, now=call.now)
        with self._state.transaction() as tx:
            tx.put(changed)
        return ecs.UpdateServiceResponse(service=self._view(changed, with_tags=False))

    def delete(self, call: Call, request: ecs.DeleteServiceRequest) -> ecs.DeleteServiceResponse:
        """Begin to delete a service: DRAINING until its tasks are on their way down."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        service = service_lookup.find(self._state, cluster, request.service)
        if service is None or service.status == "INACTIVE":
            raise validation.not_found()
        if service.status == "ACTIVE":
            if service.desired_count > 0 and not request.force:
                raise invalid_parameter("The service cannot be stopped while it is scaled above 0.")
            service = msgspec.structs.replace(service, status="DRAINING", desired_count=0, steady=False)
            with self._state.transaction() as tx:
                tx.put(service)
        return ecs.DeleteServiceResponse(service=self._view(service, with_tags=False))

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
                found[arn] = self._view(service, with_tags=with_tags)
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
        call: Call,  # noqa: ARG002 -- every handler takes the call
        request: ecs.ListServicesByNamespaceRequest,
    ) -> ecs.ListServicesByNamespaceResponse:
        """There are no Cloud Map namespaces yet, so none can be found."""
        raise AWSError("NamespaceNotFoundException", f"The specified namespace {request.namespace} was not found.")

    def _new_service(self, call: Call, cluster: Cluster, request: ecs.CreateServiceRequest) -> Service:
        """The record that the request asks for; raises AWS's errors for what cannot be."""
        if not request.task_definition:
            raise invalid_parameter("TaskDefinition can not be blank.")
        if request.desired_count is None:
            raise invalid_parameter("desiredCount is required for the REPLICA scheduling strategy.")
        validation.check_desired_count(request.desired_count)
        validation.check_grace_period(request.health_check_grace_period_seconds)
        configuration = validation.deployment_configuration(request.deployment_configuration)
        definition = resolve(self._state, call.region, request.task_definition)
        launch_type = request.launch_type or "EC2"
        strategy = validation.placement_strategy(request.placement_strategy)
        self._check_launch(call, definition, launch_type, request.platform_version, request.network_configuration)
        run_validation.check_placement(request.placement_constraints or (), strategy, launch_type)
        deployment = updates.new_deployment(
            definition=definition,
            launch_type=launch_type,
            platform_version=_platform_version(request.platform_version, launch_type),
            network_configuration=validation.network_configuration(request.network_configuration),
            now=call.now,
            ids=call.ids,
        )
        return Service(
            arn=service_lookup.service_arn(cluster, request.service_name),
            name=request.service_name,
            cluster_arn=cluster.arn,
            region=call.region,
            status="ACTIVE",
            desired_count=request.desired_count,
            created_at=call.now,
            deployments=(deployment,),
            deployment_configuration=configuration,
            created_by=call.principal.arn,
            placement_constraints=request.placement_constraints or (),
            placement_strategy=strategy,
            health_check_grace_period_seconds=request.health_check_grace_period_seconds,
            enable_ecs_managed_tags=bool(request.enable_ecs_managed_tags),
            propagate_tags=request.propagate_tags or "NONE",
            client_token=request.client_token,
        )

    def _wanted_deployment(self, call: Call, request: ecs.UpdateServiceRequest, current: Deployment) -> Deployment:
        """The PRIMARY deployment that the request would start, checked as a whole."""
        if request.task_definition:
            definition = resolve(self._state, call.region, request.task_definition)
        else:
            known = self._state.task_definitions.get(current.task_definition_arn)
            assert known is not None, current.task_definition_arn  # noqa: S101 -- it is in use, so it is kept
            definition = known
        network = request.network_configuration or current.network_configuration
        version = request.platform_version or current.platform_version
        if request.task_definition or request.network_configuration or request.platform_version:
            self._check_launch(call, definition, current.launch_type, version, network)
        return updates.new_deployment(
            definition=definition,
            launch_type=current.launch_type,
            platform_version=version,
            network_configuration=validation.network_configuration(network),
            now=call.now,
            ids=call.ids,
        )

    def _check_launch(
        self,
        call: Call,
        definition: TaskDefinition,
        launch_type: str,
        platform_version: str | None,
        network: ecs.NetworkConfiguration | None,
    ) -> None:
        run_validation.check_launch_type(definition.definition, launch_type)
        network_configuration.check(
            definition.definition.network_mode, network, self._networks.of(call.region), launch_type=launch_type
        )
        network_configuration.platform_version(platform_version, launch_type)

    def _used_before(self, token: ClientToken, existing: Service | None) -> bool:
        """Whether this token made the service that is there; a conflict raises."""
        known = self._state.client_tokens.get(token.key)
        if known is None:
            return False
        if known.request_hash != token.request_hash:
            raise validation.not_idempotent()
        return existing is not None and existing.status == "ACTIVE" and existing.arn in known.task_arns

    def _view(self, service: Service, *, with_tags: bool) -> ecs.Service:
        events = self._state.service_events.get(service.arn)
        tags = self._state.tags.get(service.arn) if with_tags else None
        return service_view.render(
            service,
            self._state.tasks.by("service", service.arn),
            events.events if events else (),
            (tags.tags if tags else ()) if with_tags else None,
        )


def _platform_version(requested: str | None, launch_type: str) -> str | None:
    """The version as the service shows it: what was asked for, LATEST when nothing was."""
    return (requested or "LATEST") if launch_type == "FARGATE" else None


def _same(existing: Service, wanted: Service) -> bool:
    """Whether two services ask for the same: a repeated create then is no conflict."""
    first, second = existing.primary, wanted.primary
    if first is None or second is None:
        return False
    members = (
        "desired_count",
        "deployment_configuration",
        "placement_constraints",
        "placement_strategy",
        "health_check_grace_period_seconds",
        "enable_ecs_managed_tags",
        "propagate_tags",
        "client_token",
    )
    settings = ("task_definition_arn", "launch_type", "platform_version", "network_configuration")
    return all(getattr(existing, name) == getattr(wanted, name) for name in members) and all(
        getattr(first, name) == getattr(second, name) for name in settings
    )


def _matches(service: Service, request: ecs.ListServicesRequest) -> bool:
    primary = service.primary
    if request.launch_type and (primary is None or primary.launch_type != request.launch_type):
        return False
    if request.scheduling_strategy and service.scheduling_strategy != request.scheduling_strategy:
        return False
    # Services that ECS manages for the customer do not exist here.
    return request.resource_management_type != "ECS"


def _token(cluster: Cluster, request: ecs.CreateServiceRequest, service_arn: str, now: float) -> ClientToken:
    """The record that remembers the token; its name keeps it apart from RunTask's tokens."""
    return ClientToken(
        cluster_arn=cluster.arn,
        token=f"CreateService/{request.client_token}",
        request_hash=hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest(),
        task_arns=(service_arn,),
        used_at=now,
    )
