"""The records that a deployment begins with: the deployment, its revision, its service deployment.

Pure.  They are written in one transaction with the service; from then on
``openecs.control.services`` moves them on.
"""

from __future__ import annotations

import base64

from openecs.api.ecs.launch_settings import LaunchSettings
from openecs.ids import Ids
from openecs.model.service import Deployment, Service
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import circuit_breaker, rollout
from openecs.shapes import ecs

#: As many characters as in the ARNs of AWS.
_ID_LENGTH = 21


def deployment(service_arn: str, settings: LaunchSettings, *, now: float, ids: Ids) -> Deployment:
    """A PRIMARY deployment of the service that begins now."""
    number = ids.svc_number()
    return Deployment(
        id=f"ecs-svc/{number}",
        status="PRIMARY",
        task_definition_arn=settings.task_definition_arn,
        created_at=now,
        updated_at=now,
        rollout_state="IN_PROGRESS",
        rollout_state_reason=rollout.in_progress(f"ecs-svc/{number}"),
        launch_type=settings.launch_type,
        capacity_provider_strategy=settings.capacity_provider_strategy,
        platform_version=settings.platform_version,
        platform_family="Linux" if settings.launch_type == "FARGATE" else None,
        network_configuration=settings.network_configuration,
        load_balancers=settings.load_balancers,
        service_registries=settings.service_registries,
        service_connect=settings.service_connect,
        connect=settings.connect,
        monitoring=settings.monitoring,
        revision_arn=f"{_of_service(service_arn, 'service-revision')}/{number}",
    )


def revision(service: Service, begun: Deployment) -> ServiceRevision:
    """What the tasks of a deployment are made of."""
    return ServiceRevision(
        arn=begun.revision_arn,
        service_arn=service.arn,
        cluster_arn=service.cluster_arn,
        created_at=begun.created_at,
        task_definition_arn=begun.task_definition_arn,
        launch_type=None if begun.capacity_provider_strategy else begun.launch_type,
        capacity_provider_strategy=begun.capacity_provider_strategy,
        platform_version=begun.platform_version,
        platform_family=begun.platform_family,
        network_configuration=begun.network_configuration,
        load_balancers=begun.load_balancers,
        alternate=begun.alternate,
        service_registries=begun.service_registries,
        service_connect=begun.service_connect,
        monitoring=begun.monitoring,
        connect_alternate=begun.connect is not None and begun.connect.alternate,
    )


def service_deployment_arn(service_arn: str, ids: Ids) -> str:
    """A fresh ARN for a service deployment."""
    raw = base64.urlsafe_b64encode(bytes.fromhex(ids.hex32())).decode()
    return f"{_of_service(service_arn, 'service-deployment')}/{raw[:_ID_LENGTH]}"


def service_deployment(
    service: Service, begun: Deployment, arn: str, source_revision_arns: tuple[str, ...] = ()
) -> ServiceDeployment:
    """The attempt to bring ``begun`` out over the revisions that were deployed until now."""
    configuration = service.deployment_configuration
    breaker = configuration.deployment_circuit_breaker
    return ServiceDeployment(
        arn=arn,
        service_arn=service.arn,
        cluster_arn=service.cluster_arn,
        deployment_id=begun.id,
        target_revision_arn=begun.revision_arn,
        created_at=begun.created_at,
        updated_at=begun.created_at,
        status="PENDING",
        deployment_configuration=configuration,
        source_revision_arns=source_revision_arns,
        circuit_breaker_status="MONITORING" if breaker is not None and breaker.enable else "DISABLED",
        threshold=circuit_breaker.threshold(configuration, service.desired_count),
        shift=_shift(configuration, begun, source_revision_arns),
    )


def _shift(
    configuration: ecs.DeploymentConfiguration, begun: Deployment, sources: tuple[str, ...]
) -> TrafficShift | None:
    """Where a deployment that shifts traffic begins: with several active revisions these come first."""
    if configuration.strategy in (None, "ROLLING"):
        return None
    stage: ecs.ServiceDeploymentLifecycleStage = "RECONCILE_SERVICE" if len(sources) > 1 else "PRE_SCALE_UP"
    return TrafficShift(stage=stage, stage_started_at=begun.created_at)


def task_set_arn(service_arn: str, deployment_id: str) -> str:
    """The ARN of a task set: its id, ``ecs-svc/N``, under the service's name."""
    return f"{_of_service(service_arn, 'task-set')}/{deployment_id}"


def _of_service(service_arn: str, kind: str) -> str:
    return service_arn.replace(":service/", f":{kind}/", 1)
