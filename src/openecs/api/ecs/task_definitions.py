"""Task definitions: the handlers of their six operations.

What a definition may say is checked in ``definition``; this module gives revisions their
numbers, keeps them and lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from openecs import arn as arns
from openecs.api.ecs.definition import lookup
from openecs.api.ecs.definition.registration import definition
from openecs.errors import client_error, invalid_parameter
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.model.task_definition import TaskDefinition, TaskDefinitionFamily
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

_PAGE = 100
_MOST_DELETIONS = 10
_FAMILY_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,255}")


class TaskDefinitions:
    """Register, describe, list, deregister and delete task definitions."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return {
            "RegisterTaskDefinition": self.register,
            "DescribeTaskDefinition": self.describe,
            "ListTaskDefinitions": self.list_definitions,
            "ListTaskDefinitionFamilies": self.list_families,
            "DeregisterTaskDefinition": self.deregister,
            "DeleteTaskDefinitions": self.delete,
        }

    def resolve(self, region: str, reference: str) -> TaskDefinition:
        """The ACTIVE revision that ``reference`` means (see ``definition.lookup``)."""
        return lookup.resolve(self._state, region, reference)

    def register(self, call: Call, request: ecs.RegisterTaskDefinitionRequest) -> ecs.RegisterTaskDefinitionResponse:
        """A new revision, also when nothing changed, as AWS does."""
        checked = definition(request)
        tag_rules.check(request.tags or ())
        tags = tag_rules.merge((), request.tags or ())
        family = self._state.families.get(f"{call.region}:{request.family}")
        revision = family.latest_revision + 1 if family else 1
        arn = arns.ecs(call.region, call.account, f"task-definition/{request.family}:{revision}")
        record = TaskDefinition(
            arn=arn,
            family=request.family,
            revision=revision,
            region=call.region,
            status="ACTIVE",
            definition=replace(
                checked,
                task_definition_arn=arn,
                revision=revision,
                status="ACTIVE",
                registered_at=call.now,
                registered_by=call.principal.arn,
            ),
        )
        with self._state.transaction() as tx:
            tx.put(record)
            tx.put(TaskDefinitionFamily(region=call.region, family=request.family, latest_revision=revision))
            if tags:
                tx.put(ResourceTags(arn=arn, tags=tags))
        return ecs.RegisterTaskDefinitionResponse(task_definition=shown(record), tags=tags or None)

    def describe(self, call: Call, request: ecs.DescribeTaskDefinitionRequest) -> ecs.DescribeTaskDefinitionResponse:
        """One revision, whatever its status; a family's latest ACTIVE one."""
        record = lookup.find(self._state, call.region, request.task_definition)
        if record is None:
            raise client_error("Unable to describe task definition.")
        # The list is there, empty, when it was not asked for: so AWS documents it.
        kept = self._state.tags.get(record.arn) if "TAGS" in (request.include or ()) else None
        return ecs.DescribeTaskDefinitionResponse(task_definition=shown(record), tags=kept.tags if kept else ())

    def list_definitions(self, call: Call, request: ecs.ListTaskDefinitionsRequest) -> ecs.ListTaskDefinitionsResponse:
        """ARNs by family name, then by number."""
        prefix, status, sort = request.family_prefix, request.status or "ACTIVE", request.sort or "ASC"
        descending = sort == "DESC"
        found = sorted(
            (record for record in self._records(call.region, prefix) if record.status == status),
            key=_natural_order,
            reverse=descending,
        )
        page, token = self._pagination.paginate(
            found,
            max_results=request.max_results,
            next_token=request.next_token,
            default=_PAGE,
            limit=_PAGE,
            scope=f"ListTaskDefinitions:{call.region}:{prefix or ''}:{status}:{sort}",
            key=_natural_order,
            descending=descending,
        )
        return ecs.ListTaskDefinitionsResponse(
            task_definition_arns=tuple(record.arn for record in page), next_token=token
        )

    def list_families(
        self, call: Call, request: ecs.ListTaskDefinitionFamiliesRequest
    ) -> ecs.ListTaskDefinitionFamiliesResponse:
        """Names of families: those with an ACTIVE revision, those without, or (by default) all."""
        prefix, status = request.family_prefix or "", request.status or "ALL"
        if not _FAMILY_PREFIX.fullmatch(prefix):
            raise invalid_parameter("familyPrefix contains invalid characters.")
        families = sorted(name for name in self._families(call.region) if name.startswith(prefix))
        if status != "ALL":
            families = [name for name in families if self._is_active(call.region, name) == (status == "ACTIVE")]
        page, token = self._pagination.paginate(
            families,
            max_results=request.max_results,
            next_token=request.next_token,
            default=_PAGE,
            limit=_PAGE,
            scope=f"ListTaskDefinitionFamilies:{call.region}:{prefix}:{status}",
        )
        return ecs.ListTaskDefinitionFamiliesResponse(families=tuple(page), next_token=token)

    def deregister(
        self, call: Call, request: ecs.DeregisterTaskDefinitionRequest
    ) -> ecs.DeregisterTaskDefinitionResponse:
        """ACTIVE → INACTIVE; what is not ACTIVE is answered as it is."""
        if lookup.parse(request.task_definition).revision is None:
            raise client_error("The taskDefinition must be a family:revision or a full ARN: revision is missing.")
        record = lookup.find(self._state, call.region, request.task_definition)
        if record is None:
            raise client_error("The specified task definition does not exist.")
        if record.status == "ACTIVE":
            record = replace(record, status="INACTIVE", deregistered_at=call.now)
            with self._state.transaction() as tx:
                tx.put(record)
        return ecs.DeregisterTaskDefinitionResponse(task_definition=shown(record))

    def delete(self, call: Call, request: ecs.DeleteTaskDefinitionsRequest) -> ecs.DeleteTaskDefinitionsResponse:
        """INACTIVE → DELETE_IN_PROGRESS; the reaper forgets them when nothing uses them."""
        references = tuple(dict.fromkeys(request.task_definitions))
        if not references:
            raise invalid_parameter("taskDefinitions must not be empty.")
        if len(references) > _MOST_DELETIONS:
            raise invalid_parameter(f"taskDefinitions must have at most {_MOST_DELETIONS} members.")
        if any(lookup.parse(reference).revision is None for reference in references):
            raise invalid_parameter(
                "taskDefinitions must each be a family:revision or a full ARN: revision is missing."
            )
        deleted: list[TaskDefinition] = []
        failures: list[ecs.Failure] = []
        with self._state.transaction() as tx:
            for reference in references:
                record = lookup.find(self._state, call.region, reference)
                if record is None or record.status == "ACTIVE":
                    failures.append(_failure(reference, record))
                    continue
                if record.status == "INACTIVE":
                    record = replace(record, status="DELETE_IN_PROGRESS", delete_requested_at=call.now)
                    tx.put(record)
                deleted.append(record)
        return ecs.DeleteTaskDefinitionsResponse(
            task_definitions=tuple(shown(record) for record in deleted), failures=tuple(failures)
        )

    def _families(self, region: str) -> Iterator[str]:
        for value in self._state.task_definitions.values("family"):
            if isinstance(value, tuple) and value[0] == region:
                yield value[1]

    def _records(self, region: str, family: str | None) -> tuple[TaskDefinition, ...]:
        if family:
            return self._state.task_definitions.by("family", (region, family))
        return self._state.task_definitions.by("region", region)

    def _is_active(self, region: str, family: str) -> bool:
        records = self._state.task_definitions.by("family", (region, family))
        return any(record.status == "ACTIVE" for record in reversed(records))


def shown(record: TaskDefinition) -> ecs.TaskDefinition:
    """A record as replies show it: the definition with its present status and times."""
    if record.status == "ACTIVE":
        return record.definition
    return replace(
        record.definition,
        status=record.status,
        deregistered_at=record.deregistered_at,
        delete_requested_at=record.delete_requested_at,
    )


def _natural_order(record: TaskDefinition) -> tuple[str, int]:
    return record.family, record.revision


def _failure(reference: str, record: TaskDefinition | None) -> ecs.Failure:
    if record is None:
        reason = (
            "The specified task definition does not exist. Specify a valid account, family, revision and try again."
        )
    else:
        reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
    return ecs.Failure(arn=record.arn if record else reference, reason=reason)
