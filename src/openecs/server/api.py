"""Which operations are served: every AWS service with the handlers that are built."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import fields

from openecs.api.acm.certificates import Certificates
from openecs.api.application_autoscaling.service import ApplicationAutoScaling
from openecs.api.autoscaling.service import AutoScaling
from openecs.api.cloudwatch.service import CloudWatch
from openecs.api.ec2.service import Ec2
from openecs.api.ecs.account_settings import AccountSettings
from openecs.api.ecs.agent_operations import AgentOperations
from openecs.api.ecs.attributes import Attributes
from openecs.api.ecs.capacity_providers import CapacityProviders
from openecs.api.ecs.clusters import Clusters
from openecs.api.ecs.container_instances import ContainerInstances
from openecs.api.ecs.run_tasks import RunTasks
from openecs.api.ecs.service_deployments import ServiceDeployments
from openecs.api.ecs.service_revisions import ServiceRevisions
from openecs.api.ecs.services import Services
from openecs.api.ecs.tagging import Tagging
from openecs.api.ecs.task_definitions import TaskDefinitions
from openecs.api.ecs.task_protection import TaskProtection
from openecs.api.ecs.task_sets import TaskSets
from openecs.api.ecs.task_view import TaskViews
from openecs.api.ecs.tasks import Tasks
from openecs.api.elbv2.service import ElasticLoadBalancing
from openecs.api.events.service import EventBridge
from openecs.api.logs.service import CloudWatchLogs
from openecs.api.scheduler.service import Scheduler
from openecs.api.servicediscovery.service import CloudMap
from openecs.api.sts.caller_identity import CallerIdentity
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.launch import Launcher
from openecs.control.region_networks import RegionNetworks
from openecs.iam.keyring import KeyRing
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.metrics.store import MetricStore
from openecs.server.eventbridge import EventParts
from openecs.state.state import State
from openecs.wire.call import Handler, Handlers
from openecs.wire.generated import (
    acm,
    application_autoscaling,
    autoscaling,
    cloudwatch,
    ec2,
    ecs,
    elbv2,
    events,
    logs,
    scheduler,
    servicediscovery,
    sts,
)
from openecs.wire.pagination import Pagination
from openecs.wire.served import ServedService


def api_services(
    *,
    state: State,
    log_store: LogStore,
    log_queries: Runner,
    metric_store: MetricStore,
    pagination: Pagination,
    launcher: Launcher,
    networks: RegionNetworks,
    certificate_keys: KeyRing,
    event_parts: EventParts,
    alarm_changes: AlarmChanges,
    provisioned: bool,
) -> dict[str, ServedService]:
    """Service name → model and handlers; ``certificate_keys`` seals the private keys of certificates.

    ``provisioned``: whether machines can be started and stopped.
    """
    views = TaskViews(state)
    ecs_handlers = _merged(
        Clusters(state, pagination).handlers(),
        CapacityProviders(state, pagination, provisioned=provisioned).handlers(),
        TaskDefinitions(state, pagination).handlers(),
        RunTasks(state, launcher, networks, views).handlers(),
        Tasks(state, pagination, views).handlers(),
        TaskProtection(state).handlers(),
        Services(state, pagination, networks).handlers(),
        ServiceDeployments(state, pagination).handlers(),
        ServiceRevisions(state).handlers(),
        TaskSets(state, networks).handlers(),
        ContainerInstances(state, pagination).handlers(),
        Attributes(state, pagination).handlers(),
        AgentOperations(state).handlers(),
        Tagging(state).handlers(),
        AccountSettings(state, pagination).handlers(),
    )
    served: dict[str, ServedService] = {
        "acm": ServedService(acm.SERVICE, Certificates(state, pagination, certificate_keys.seal).handlers()),
        "application_autoscaling": ServedService(
            application_autoscaling.SERVICE, ApplicationAutoScaling(state, pagination).handlers()
        ),
        "autoscaling": ServedService(autoscaling.SERVICE, AutoScaling(state, pagination).handlers()),
        "cloudwatch": ServedService(
            cloudwatch.SERVICE, CloudWatch(state, pagination, alarm_changes, metric_store).handlers()
        ),
        "ec2": ServedService(ec2.SERVICE, Ec2(state, pagination, networks).handlers()),
        "ecs": ServedService(ecs.SERVICE, ecs_handlers),
        "elbv2": ServedService(elbv2.SERVICE, ElasticLoadBalancing(state, pagination, networks.ensure).handlers()),
        "events": ServedService(
            events.SERVICE,
            EventBridge(
                state,
                pagination,
                sender=event_parts.sender,
                archives=event_parts.archives,
                authorizer=event_parts.authorizer,
            ).handlers(),
        ),
        "logs": ServedService(logs.SERVICE, CloudWatchLogs(log_store, state, pagination, log_queries).handlers()),
        "servicediscovery": ServedService(
            servicediscovery.SERVICE, CloudMap(state, pagination, networks.vpc_exists).handlers()
        ),
        "sts": ServedService(sts.SERVICE, CallerIdentity().handlers()),
    }

    def members(service: str, operation: str) -> frozenset[str] | None:
        if service not in served or operation not in served[service].handlers:
            return None
        shape = served[service].model.operations[operation].input
        return frozenset(field.encode_name for field in fields(shape)) if shape else frozenset()

    served["scheduler"] = ServedService(scheduler.SERVICE, Scheduler(state, pagination, members).handlers())
    return served


def _merged(*parts: Handlers) -> Handlers:
    """All handlers of a service; two for one operation are a mistake of ours."""
    merged: dict[str, Handler] = {}
    for name, handler in _items(parts):
        if name in merged:
            raise ValueError(f"two handlers for {name}")
        merged[name] = handler
    return merged


def _items(parts: Iterable[Handlers]) -> Iterable[tuple[str, Handler]]:
    for part in parts:
        yield from part.items()
