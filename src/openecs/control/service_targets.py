"""What load balancers say of the tasks of services, kept up to date for the planner.

Verdicts are worked out when something about a target changed and kept until then, so that a plan
of a service with thousands of targets costs no more than their verdicts' look-up.  Nothing here
is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from openecs.control.target_verdicts import TargetVerdicts, load_balancers_of
from openecs.model.service import Service
from openecs.planning.target_verdict import TargetVerdict
from openecs.state.state import State
from openecs.state.store import Notice

_NONE: Mapping[str, TargetVerdict] = MappingProxyType({})


class ServiceTargets:
    """Verdicts by task, for every service that has load balancers."""

    def __init__(self, state: State) -> None:
        self._state = state
        #: Service → task → verdict.
        self._known: dict[str, dict[str, TargetVerdict]] = {}
        #: Service → tasks whose verdicts are out of date.
        self._stale: dict[str, set[str]] = {}

    def of(self, service: Service) -> Mapping[str, TargetVerdict]:
        """Task ARN → verdict, for the tasks that are targets."""
        stale = self._stale.pop(service.arn, None)
        known = self._known.get(service.arn)
        if known is None:
            if not any(deployment.load_balancers for deployment in service.deployments):
                return _NONE
            known = self._known[service.arn] = {}
            stale = {task.arn for task in self._state.tasks.by("service", service.arn)}
        if stale:
            verdicts = TargetVerdicts(self._state)
            for arn in stale:
                self._refresh(service, known, arn, verdicts)
        return known

    def forget(self, service_arn: str) -> None:
        """The service is over."""
        self._known.pop(service_arn, None)
        self._stale.pop(service_arn, None)

    def target_changed(self, notice: Notice) -> Iterable[str]:
        """The service of a target that came, changed or went."""
        return self._task_is_stale((notice.new or notice.old).task_arn)

    def health_changed(self, notice: Notice) -> Iterable[str]:
        """The service of a target of which a host says something new."""
        target = self._state.targets.get(notice.key)
        return self._task_is_stale(target.task_arn) if target is not None else ()

    def surroundings_changed(self, notice: Notice) -> Iterable[str]:
        """All services with load balancers: a target group, a load balancer or its hosts changed."""
        if notice.table == "interface" and (notice.new or notice.old).owner_arn is None:
            return ()
        services = tuple(self._known)
        self._known.clear()
        return services

    def _task_is_stale(self, task_arn: str | None) -> Iterable[str]:
        task = self._state.tasks.get(task_arn or "")
        if task is None or task.service_arn is None:
            return ()
        self._stale.setdefault(task.service_arn, set()).add(task.arn)
        return (task.service_arn,)

    def _refresh(self, service: Service, known: dict[str, TargetVerdict], arn: str, verdicts: TargetVerdicts) -> None:
        task = self._state.tasks.get(arn)
        if task is None or task.stopped or not self._state.targets.by("task", arn):
            known.pop(arn, None)
            return
        known[arn] = verdicts.of(task, load_balancers_of(service, task))
