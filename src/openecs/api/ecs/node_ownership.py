"""Who may speak for a node: the principal that registered it, and root."""

from __future__ import annotations

from openecs.errors import AWSError
from openecs.model.node import Node
from openecs.wire.call import Call


def require_owner(call: Call, node: Node | None, resource: str) -> None:
    """Raise ``AccessDeniedException`` unless the caller may speak for the node.

    ``resource`` is the ARN that the caller named, for the message.
    """
    if call.principal.kind == "root" or (node is not None and node.owner == call.principal.arn):
        return
    raise AWSError(
        "AccessDeniedException",
        f"User: {call.principal.arn} is not authorized to perform: {call.service}:{call.operation} "
        f"on resource: {resource}",
    )
