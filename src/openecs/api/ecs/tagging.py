"""TagResource, UntagResource and ListTagsForResource for every ECS resource."""

from __future__ import annotations

from openecs import arn as arns
from openecs.errors import AWSError, invalid_parameter
from openecs.model import tag_rules
from openecs.model.service_deployment import service_arn_of
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class Tagging:
    """The operations on tags."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }

    def tag_resource(self, call: Call, request: ecs.TagResourceRequest) -> ecs.TagResourceResponse:
        """Add tags or change their values."""
        arn = self._existing(call, request.resource_arn)
        if not request.tags:
            raise invalid_parameter("Tags can not be empty.")
        tag_rules.check(request.tags)
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=arn, tags=tag_rules.merge(self._tags(arn), request.tags)))
        return ecs.TagResourceResponse()

    def untag_resource(self, call: Call, request: ecs.UntagResourceRequest) -> ecs.UntagResourceResponse:
        """Take tags off; keys that are not there are no error."""
        arn = self._existing(call, request.resource_arn)
        if not request.tag_keys:
            raise invalid_parameter("Tag keys can not be empty.")
        if any(key.lower().startswith(tag_rules.RESERVED_PREFIX) for key in request.tag_keys):
            raise invalid_parameter("Tag keys that start with 'aws:' are reserved for system use.")
        kept = tuple(tag for tag in self._tags(arn) if tag.key not in request.tag_keys)
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=arn, tags=kept))
        return ecs.UntagResourceResponse()

    def list_tags_for_resource(
        self, call: Call, request: ecs.ListTagsForResourceRequest
    ) -> ecs.ListTagsForResourceResponse:
        """The tags of one resource."""
        return ecs.ListTagsForResourceResponse(tags=self._tags(self._existing(call, request.resource_arn)))

    def _tags(self, arn: str) -> tuple[ecs.Tag, ...]:
        found = self._state.tags.get(arn)
        return found.tags if found else ()

    def _existing(self, call: Call, arn: str) -> str:
        """The ARN itself when a resource of this region and account has it."""
        parsed = arns.parse(arn)
        if parsed is None or parsed.service != "ecs":
            raise invalid_parameter("Invalid ARN syntax.")
        if parsed.region != call.region or parsed.account != call.account:
            raise invalid_parameter("The specified resource is in another region or account.")
        state = self._state
        match parsed.kind:
            case "cluster":
                cluster = state.clusters.get(arn)
                if cluster is None:
                    raise AWSError("ClusterNotFoundException", "Cluster not found.")
                if cluster.status != "ACTIVE":
                    raise invalid_parameter(
                        "The specified cluster is inactive. Specify an active cluster and try again."
                    )
                exists = True
            case "task":
                exists = arn in state.tasks
            case "service":
                service = state.services.get(arn)
                exists = service is not None and service.status != "INACTIVE"
            case "task-set":
                owner = state.services.get(service_arn_of(arn) or "")
                sets = owner.deployments if owner is not None and owner.status != "INACTIVE" else ()
                exists = any(d.task_set is not None and d.task_set.arn == arn for d in sets)
            case "task-definition":
                exists = arn in state.task_definitions
            case "capacity-provider":
                provider = state.capacity_providers.get(arn)
                exists = provider is not None and provider.status == "ACTIVE"
            case "container-instance":
                exists = arn in state.container_instances
            case _:
                raise invalid_parameter(f"Tags are not supported for resources of the type {parsed.kind}.")
        if not exists:
            raise AWSError("ResourceNotFoundException", "The specified resource could not be found.")
        return arn
