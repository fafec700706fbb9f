"""RunTask and StartTask: validate, place, write, answer."""

from __future__ import annotations

import hashlib

import msgspec

from openecs.api.ecs import lookup, network_configuration, provider_strategy, run_validation
from openecs.api.ecs.definition.lookup import resolve
from openecs.api.ecs.provider_strategy import LaunchType
from openecs.api.ecs.task_view import TaskViews
from openecs.control.launch import Launcher
from openecs.control.launch_spec import Launched, LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.errors import invalid_parameter
from openecs.model import tag_rules
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.node import ContainerInstance
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning.launch_requirements import served_by
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers


class RunTasks:
    """The operations that start standalone tasks."""

    def __init__(self, state: State, launcher: Launcher, networks: RegionNetworks, views: TaskViews) -> None:
        self._state = state
        self._launcher = launcher
        self._networks = networks
        self._views = views

    def handlers(self) -> Handlers:
        return {"RunTask": self.run_task, "StartTask": self.start_task}

    def run_task(self, call: Call, request: ecs.RunTaskRequest) -> ecs.RunTaskResponse:
        """Place and write up to ten tasks; the ones that fit nowhere are ``failures``.

        A repeated client token answers as the first call did, whatever has become of its task
        definition.  A call that wrote no task is not remembered: repeating it tries again.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        run_validation.check_client_token(request.client_token)
        repeated = self._repeated(cluster, request)
        if repeated is not None:
            return ecs.RunTaskResponse(tasks=self._known(repeated), failures=repeated.failures)
        definition = resolve(self._state, call.region, request.task_definition)
        count = run_validation.task_count(request.count)
        strategy, launch_type = provider_strategy.resolve(
            self._state, cluster, request.launch_type, request.capacity_provider_strategy
        )
        run_validation.refuse_unserved(request)
        run_validation.check_group(request.group)
        run_validation.check_placement(
            request.placement_constraints or (),
            request.placement_strategy or (),
            launch_type,
            in_definition=len(definition.definition.placement_constraints or ()),
        )
        spec = self._spec(call, request, cluster, definition, launch_type, count)
        spec = msgspec.structs.replace(spec, capacity_provider_strategy=strategy)
        with self._state.transaction() as tx:
            launched = self._launcher.launch(tx, spec, now=call.now, ids=call.ids)
            self._remember(tx, call, cluster, request, launched)
        return ecs.RunTaskResponse(
            tasks=tuple(self._views.view(task, tags=bool(spec.tags)) for task in launched.tasks),
            failures=launched.failures,
        )

    def start_task(self, call: Call, request: ecs.StartTaskRequest) -> ecs.StartTaskResponse:
        """Start one task on each of the named container instances, without placement.

        The launch type of each task is the one that its instance serves.
        """
        cluster = lookup.cluster(self._state, call, request.cluster)
        definition = resolve(self._state, call.region, request.task_definition)
        run_validation.refuse_unserved(request)
        run_validation.check_group(request.group)
        references = request.container_instances
        if not references:
            raise invalid_parameter("Container instances can not be empty.")
        if len(references) > 10:
            raise invalid_parameter("Container instances can have at most 10 items.")
        failures: list[ecs.Failure] = []
        instances = []
        for reference in references:
            instance = lookup.container_instance(self._state, cluster, reference)
            if instance is None or instance.status == "INACTIVE":
                arn = lookup.container_instance_arn(cluster, reference)
                failures.append(ecs.Failure(arn=arn, reason="MISSING"))
            else:
                instances.append(instance)
        by_type: dict[LaunchType, list[ContainerInstance]] = {}
        for instance in instances:
            by_type.setdefault(_launch_type(definition, served_by(instance)), []).append(instance)
        if not instances:
            # What is wrong with the request is said all the same.
            self._spec(call, request, cluster, definition, _launch_type(definition), 0)
        specs = [
            msgspec.structs.replace(
                self._spec(call, request, cluster, definition, launch_type, len(group)),
                container_instances=tuple(group),
            )
            for launch_type, group in by_type.items()
        ]
        tasks: list[Task] = []
        with self._state.transaction() as tx:
            for spec in specs:
                launched = self._launcher.launch(tx, spec, now=call.now, ids=call.ids)
                tasks += launched.tasks
                failures += launched.failures
        return ecs.StartTaskResponse(
            tasks=tuple(self._views.view(task, tags=True) for task in tasks), failures=tuple(failures)
        )

    def _spec(
        self,
        call: Call,
        request: ecs.RunTaskRequest | ecs.StartTaskRequest,
        cluster: Cluster,
        definition: TaskDefinition,
        launch_type: LaunchType,
        count: int,
    ) -> LaunchSpec:
        """The checked launch that a request asks for."""
        shape = definition.definition
        run_validation.check_launch_type(shape, launch_type)
        run_validation.check_started_by(request.started_by)
        overrides = run_validation.check_overrides(request.overrides, shape, launch_type)
        network_configuration.check(
            shape.network_mode, request.network_configuration, self._networks, call.region, launch_type=launch_type
        )
        platform: str | None = None
        constraints: tuple[ecs.PlacementConstraint, ...] = ()
        strategies: tuple[ecs.PlacementStrategy, ...] = ()
        if isinstance(request, ecs.RunTaskRequest):
            platform = network_configuration.platform_version(request.platform_version, launch_type)
            constraints = request.placement_constraints or ()
            strategies = request.placement_strategy or ()
        return LaunchSpec(
            cluster=cluster,
            definition=definition,
            count=count,
            launch_type=launch_type,
            group=request.group or f"family:{definition.family}",
            started_by=request.started_by,
            overrides=overrides,
            network_configuration=request.network_configuration,
            placement_constraints=constraints,
            placement_strategy=strategies,
            platform_version=platform,
            tags=self._tags(request, cluster, definition),
        )

    def _tags(
        self, request: ecs.RunTaskRequest | ecs.StartTaskRequest, cluster: Cluster, definition: TaskDefinition
    ) -> tuple[ecs.Tag, ...]:
        given = request.tags or ()
        tag_rules.check(given)
        tags: tuple[ecs.Tag, ...] = ()
        if request.propagate_tags == "SERVICE":
            raise invalid_parameter("Invalid value for propagateTags: SERVICE is only for services.")
        if request.propagate_tags == "TASK_DEFINITION":
            found = self._state.tags.get(definition.arn)
            tags = found.tags if found else ()
        tags = tag_rules.merge(tags, given)
        if request.enable_ecs_managed_tags:
            tags = (ecs.Tag(key="aws:ecs:clusterName", value=cluster.name), *tags)
        return tags

    def _repeated(self, cluster: Cluster, request: ecs.RunTaskRequest) -> ClientToken | None:
        """What the request's client token already stands for."""
        if not request.client_token:
            return None
        known = self._state.client_tokens.get(f"{cluster.arn}:{request.client_token}")
        if known is not None and known.request_hash != _hash(request):
            raise run_validation.conflict(known.task_arns)
        return known

    def _known(self, token: ClientToken) -> tuple[ecs.Task, ...]:
        tasks = (self._state.tasks.get(arn) for arn in token.task_arns)
        return tuple(self._views.view(task, tags=True) for task in tasks if task is not None)

    @staticmethod
    def _remember(
        tx: Transaction, call: Call, cluster: Cluster, request: ecs.RunTaskRequest, launched: Launched
    ) -> None:
        if request.client_token and launched.tasks:
            tx.put(
                ClientToken(
                    cluster_arn=cluster.arn,
                    token=request.client_token,
                    request_hash=_hash(request),
                    task_arns=tuple(task.arn for task in launched.tasks),
                    failures=launched.failures,
                    used_at=call.now,
                )
            )


def _launch_type(definition: TaskDefinition, served: frozenset[str] = frozenset({"EC2", "EXTERNAL"})) -> LaunchType:
    """The launch type on an instance that serves these: EC2 where it may be either."""
    required = definition.definition.requires_compatibilities
    suits: tuple[LaunchType, ...] = ("EC2", "EXTERNAL")
    wanted = [kind for kind in suits if kind in served and (not required or kind in required)]
    return wanted[0] if wanted else "EC2" if "EC2" in served else "EXTERNAL"


def _hash(request: ecs.RunTaskRequest) -> str:
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()
