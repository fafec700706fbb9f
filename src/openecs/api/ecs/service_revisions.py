"""DescribeServiceRevisions: what the tasks of a deployment were made of."""

from __future__ import annotations

from openecs.api.ecs import service_deployment_view
from openecs.api.ecs.service_deployments import check_arns
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class ServiceRevisions:
    """The operation on service revisions."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name to handler."""
        return {"DescribeServiceRevisions": self.describe}

    def describe(
        self, call: Call, request: ecs.DescribeServiceRevisionsRequest
    ) -> ecs.DescribeServiceRevisionsResponse:
        """Up to 20 service revisions; absent ones are ``failures`` with reason MISSING."""
        wanted = check_arns(call, request.service_revision_arns, "serviceRevisionArns", "service-revision")
        found: list[ecs.ServiceRevision] = []
        failures: list[ecs.Failure] = []
        for arn in wanted:
            record = self._state.service_revisions.get(arn)
            if record is None:
                failures.append(ecs.Failure(arn=arn, reason="MISSING"))
            else:
                found.append(service_deployment_view.revision(record, self._images(record.task_definition_arn)))
        return ecs.DescribeServiceRevisionsResponse(service_revisions=tuple(found), failures=tuple(failures))

    def _images(self, definition_arn: str) -> dict[str, str]:
        """Container name to image; a definition that was deleted since has none to show."""
        definition = self._state.task_definitions.get(definition_arn)
        containers = definition.definition.container_definitions if definition is not None else None
        return {c.name: c.image for c in containers or () if c.name and c.image}
