"""The service reconciler's shell: read a snapshot, ask the planner, write what it says.

Everything of one step happens in one transaction: tasks that found a node, stops, the
service's record, its service deployments and the events that tell about it.  What was decided,
and why, is in ``openecs.planning.service_plan``.

A service that found no node for a task waits without polling: it is looked at again when a
node that may take its tasks joins, changes or gets something back from a task that stopped
(``waiting_services``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from openecs.clock import Clock
from openecs.control import connect_lookup, connect_routing
from openecs.control.connect_reports import ConnectNews, ConnectReports
from openecs.control.daemon_instances import DaemonInstances
from openecs.control.deployment_alarms import DeploymentAlarms
from openecs.control.loop import After, Done, Loop, Result, Timing
from openecs.control.room_left import room_left
from openecs.control.service_launches import Launches, ServiceLaunches, looks_again
from openecs.control.service_rollouts import ServiceRollouts
from openecs.control.service_speech import say
from openecs.control.service_targets import ServiceTargets
from openecs.control.service_traffic import ServiceTraffic
from openecs.control.service_zones import ServiceZones
from openecs.control.waiting_services import Shortage, WaitingServices
from openecs.ids import Ids
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import Task
from openecs.planning.service_actions import CompleteDeployment, Event, FailDeployment, Plan, Start, Stop
from openecs.planning.service_plan import plan
from openecs.planning.service_snapshot import ServiceSnapshot
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

logger = structlog.get_logger("openecs.control")


class ServiceController:
    """Reconciles services.  Keys are service ARNs.

    ``lost_after`` is for how many seconds a task's agent may be out of reach before the task is
    replaced; ``None`` for ever.  ``connect`` is what hosts say of Service Connect.
    """

    def __init__(
        self,
        state: State,
        launcher: Launches,
        clock: Clock,
        ids: Ids,
        *,
        lost_after: float | None = None,
        connect: ConnectReports | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        self._alarms = DeploymentAlarms(state)
        self._lost_after = lost_after
        self._daemons = DaemonInstances(state)
        self._zones = ServiceZones(state, launcher.networks)
        self._targets = ServiceTargets(state)
        self._rollouts = ServiceRollouts(state)
        self._connect = connect or ConnectReports()
        self._traffic = ServiceTraffic(state, ids, self._connect)
        self._launches = ServiceLaunches(state, launcher, ids, daemons=self._daemons, zones=self._zones)
        self._waiting = WaitingServices(state)
        #: Has a service looked at soon; before there is a loop every service will be anyway.
        self._wake: Callable[[str], None] = lambda _: None

    def loop(self, timing: Timing) -> Loop:
        """The loop that runs this controller, woken by every change that matters to it."""
        loop = Loop("services", self.reconcile, timing, resync=self._all)
        self._wake = loop.enqueue
        self._connect.watch(self._connect_changed)
        store = self._state.store
        loop.watch(store, "service", lambda notice: (notice.key,))
        loop.watch(store, "service_deployment", _stop_requested)
        loop.watch(store, "task", self._task_changed)
        # DAEMON services come first: an instance gets their tasks before others take its room.
        loop.watch(store, "container_instance", self._daemons.instance_changed)
        loop.watch(store, "container_instance", self._instance_changed)
        loop.watch(store, "container_instance", self._zones.place_changed)
        loop.watch(store, "node", self._daemons.node_changed)
        loop.watch(store, "node", lambda notice: self._waiting.node_changed(notice.key))
        loop.watch(store, "node", self._zones.place_changed)
        loop.watch(store, "target", self._targets.target_changed)
        loop.watch(store, "target_health", self._targets.health_changed)
        for table in ("metric_alarm", "composite_alarm"):
            loop.watch(store, table, self._alarms.alarm_changed)
        for table in ("target_group", "listener", "listener_rule", "interface", "balancer_host"):
            loop.watch(store, table, self._targets.surroundings_changed)
        return loop

    def _connect_changed(self, news: ConnectNews) -> None:
        """A host routes differently: the service whose endpoint it is may have waited for that."""
        namespace_id, _, name = news.endpoint.partition("/")
        endpoint = connect_lookup.owned_service(self._state, namespace_id, name) if news.routing else None
        if endpoint is not None and endpoint.owner_arn is not None:
            self._wake(endpoint.owner_arn)

    def reconcile(self, key: str) -> Result:
        """Take one step for one service."""
        service = self._state.services.get(key)
        if service is None or service.status == "INACTIVE":
            self._forget(key)
            return Done()
        now = self._clock.now()
        in_alarm = self._alarms.in_alarm(service)
        snapshot = ServiceSnapshot(
            service,
            self._state.tasks.by("service", key),
            draining_instances=self._draining(service),
            daemon_instances=self._daemons.of(service, now),
            zones=self._zones.of(service, now),
            room_left=room_left(self._state, service),
            stop_requested=self._rollouts.stop_requested(service),
            alarms_in_alarm=in_alarm,
            alarm_bake=self._alarms.bake(service),
            lost_after=self._lost_after,
            targets=self._targets.of(service),
            traffic=self._traffic.view(service),
        )
        step = plan(snapshot, now)
        due = self._rollouts.due(step.service, now=now, in_alarm=in_alarm, shift=step.shift)
        if step.actions or due or step.service is not service or self._traffic.due(service, step.shift):
            self._apply(service, step, due, now)
        if not step.starts:
            self._waiting.discard(key)
        if any(looks_again(start) for start in step.starts):
            return After(0.001)
        times = (step.wake_at, self._daemons.try_again_at(service, now), self._zones.try_again_at(service, now))
        wake_at = min((at for at in times if at is not None), default=None)
        return Done() if wake_at is None else After(max(wake_at - now, 0.001))

    def _apply(self, before: Service, step: Plan, due: list[ServiceDeployment], now: float) -> None:
        service = step.service
        texts: list[str] = []
        stops: list[Stop] = []
        shortages: list[Shortage] = []
        with self._state.transaction() as tx:
            for action in step.actions:
                if isinstance(action, Stop):
                    stops.append(action)
                    continue
                # What stops together is told together.
                texts += self._launches.stop(tx, service, stops, now)
                stops.clear()
                if isinstance(action, Start):
                    said, shortage = self._launches.start(tx, service, action, now)
                    texts += said
                    shortages += [shortage] if shortage is not None else []
                elif isinstance(action, Event):
                    texts.append(action.text)
                else:
                    self._note(tx, service, action)
            texts += self._launches.stop(tx, service, stops, now)
            if service is not before:
                tx.put(service)
            texts += self._traffic.write(tx, service, step.shift)
            self._rollouts.write(tx, before, service, due)
            say(self._state, tx, service.arn, texts, now=now, ids=self._ids)
        self._waiting.put(service, tuple(shortages))

    def _note(self, tx: Transaction, service: Service, action: CompleteDeployment | FailDeployment) -> None:
        """The end of a deployment, for the log and the history."""
        tx.because(action.deployment_id, action.reason)
        logger.info(
            "service.deployment",
            service=service.name,
            deployment=action.deployment_id,
            outcome="completed" if isinstance(action, CompleteDeployment) else "failed",
            rolls_back_to=None if isinstance(action, CompleteDeployment) else action.rolls_back_to,
            reason=action.reason,
        )

    def _draining(self, service: Service) -> frozenset[str]:
        """The container instances of the service's cluster that are not ACTIVE any more."""
        instances = self._state.container_instances.by("not_active", service.cluster_arn)
        return frozenset(instance.arn for instance in instances)

    def _forget(self, key: str) -> None:
        self._waiting.discard(key)
        self._daemons.forget(key)
        self._zones.forget(key)
        self._targets.forget(key)

    def _all(self) -> Iterable[str]:
        return [service.arn for service in self._state.services if service.status != "INACTIVE"]

    def _task_changed(self, notice: Notice) -> Iterable[str]:
        old: Task | None = notice.old
        new: Task | None = notice.new
        keys: list[str] = []
        task = new or old
        if task is not None and task.service_arn is not None and _matters(old, new):
            keys.append(task.service_arn)
        keys.extend(self._waiting.task_changed(old, new))
        if old is not None and not old.stopped and (new is None or new.stopped):
            keys.extend(connect_routing.waiting(self._state, old))
        keys.extend(self._daemons.task_changed(old, new))
        return keys

    def _instance_changed(self, notice: Notice) -> Iterable[str]:
        waiting = self._waiting.node_changed(notice.new.node_id) if notice.new is not None else []
        if notice.old is not None and notice.new is not None and notice.old.status == notice.new.status:
            return waiting
        tasks = self._state.tasks.by("container_instance", notice.key)
        affected = [task.service_arn for task in tasks if task.service_arn and not task.stopped]
        return [*affected, *waiting]


def _stop_requested(notice: Notice) -> Iterable[str]:
    """The service of a service deployment that somebody asked to stop, or continued."""
    record: ServiceDeployment | None = notice.new
    if record is None or record.finished:
        return ()
    moved = record.shift is not None and (notice.old is None or notice.old.shift != record.shift)
    return (record.service_arn,) if moved or record.stop_requested is not None else ()


def _matters(old: Task | None, new: Task | None) -> bool:
    """Whether a task's change can change the plan of its service."""
    if new is None:
        # Forgetting a STOPPED task changes nothing; nobody may forget another.
        return old is not None and not old.stopped
    return (
        old is None
        or old.last_status != new.last_status
        or old.desired_status != new.desired_status
        or old.health_status != new.health_status
        or old.unreachable_since != new.unreachable_since
        or old.protected_until != new.protected_until
        or (old.containers is not new.containers and _digests(old) != _digests(new))
    )


def _digests(task: Task) -> list[str | None]:
    return [container.image_digest for container in task.containers]
