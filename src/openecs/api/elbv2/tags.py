"""AddTags, RemoveTags and DescribeTags.

Load balancers and listeners have a tag of the installation's own, ``aws:openecs:endpoint``: the
address at which a listener is reached from outside its VPC.  Clients leave keys with this prefix
alone, so it is no difference to what they configured.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.elbv2 import tag_store
from openecs.api.elbv2.errors import validation_error
from openecs.api.elbv2.lookup import Lookup
from openecs.control.balancer_endpoints import balancer_endpoints, listener_endpoint
from openecs.model import balancer_arns
from openecs.shapes import elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

ENDPOINT_TAG = "aws:openecs:endpoint"
#: Resources in one call.
MOST_RESOURCES = 20
LONGEST_VALUE = 256


class Tags:
    """The operations on tags."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"AddTags": self.add_tags, "RemoveTags": self.remove_tags, "DescribeTags": self.describe_tags}

    def add_tags(self, call: Call, request: elbv2.AddTagsInput) -> elbv2.AddTagsOutput:
        """Add tags to resources or change their values."""
        self._require(call, request.resource_arns)
        tags = tag_store.checked(request.tags)
        with self._state.transaction() as tx:
            for arn in request.resource_arns:
                tag_store.add(tx, self._state, arn, tags)
        return elbv2.AddTagsOutput()

    def remove_tags(self, call: Call, request: elbv2.RemoveTagsInput) -> elbv2.RemoveTagsOutput:
        """Take tags off resources; keys that are not there are no error."""
        self._require(call, request.resource_arns)
        if any(key.lower().startswith(tag_store.RESERVED) for key in request.tag_keys):
            raise validation_error("Tag keys that begin with 'aws:' are reserved")
        with self._state.transaction() as tx:
            for arn in request.resource_arns:
                tag_store.remove(tx, self._state, arn, request.tag_keys)
        return elbv2.RemoveTagsOutput()

    def describe_tags(self, call: Call, request: elbv2.DescribeTagsInput) -> elbv2.DescribeTagsOutput:
        """The tags of resources."""
        self._require(call, request.resource_arns)
        return elbv2.DescribeTagsOutput(
            tag_descriptions=tuple(
                elbv2.TagDescription(resource_arn=arn, tags=self._shown(arn)) for arn in request.resource_arns
            )
        )

    def _shown(self, arn: str) -> tuple[elbv2.Tag, ...]:
        own = tuple(elbv2.Tag(key=tag.key or "", value=tag.value) for tag in tag_store.tags_of(self._state, arn))
        endpoint = self._endpoint(arn)
        return (*own, elbv2.Tag(key=ENDPOINT_TAG, value=endpoint)) if endpoint else own

    def _endpoint(self, arn: str) -> str:
        match balancer_arns.kind_of(arn):
            case "loadbalancer":
                return _joined(endpoint.address for endpoint in balancer_endpoints(self._state, arn))
            case "listener":
                return listener_endpoint(self._state, arn) or ""
            case _:
                return ""

    def _require(self, call: Call, arns: tuple[str, ...]) -> None:
        if not arns:
            raise validation_error("At least one resource ARN must be specified")
        if len(arns) > MOST_RESOURCES:
            raise validation_error(f"At most {MOST_RESOURCES} resources can be specified")
        for arn in arns:
            self._lookup.exists(call, arn)


def _joined(addresses: Iterable[str]) -> str:
    """As many addresses as fit into a tag's value; ``openecs status`` shows all of them."""
    value = ""
    for address in addresses:
        longer = f"{value} {address}".strip()
        if len(longer) > LONGEST_VALUE:
            break
        value = longer
    return value
