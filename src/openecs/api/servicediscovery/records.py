"""What every operation that changes something writes beside its change: operations, tags, ids."""

from __future__ import annotations

from openecs.api.servicediscovery.errors import invalid_input
from openecs.model.discovery import DiscoveryOperation
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call

#: Operations that are remembered in a region.
REMEMBERED = 2000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MAX_TAGS = 200


def short_id(call: Call, length: int = 16) -> str:
    """Lower-case letters and digits, as in ``ns-…`` and ``srv-…``."""
    number = int(call.ids.hex32(), 16)
    text = ""
    while len(text) < length:
        number, digit = divmod(number, 36)
        text += _DIGITS[digit]
    return text


def note_operation(
    state: State,
    tx: Transaction,
    call: Call,
    kind: sd.OperationType,
    *,
    namespace: str | None = None,
    service: str | None = None,
    instance: str | None = None,
) -> str:
    """Write the record that GetOperation shows of this call, which is done already; its id."""
    targets: dict[sd.OperationTargetType, str | None] = {
        "NAMESPACE": namespace,
        "SERVICE": service,
        "INSTANCE": instance,
    }
    operation = DiscoveryOperation(
        id=f"{short_id(call, 24)}-{short_id(call, 8)}",
        region=call.region,
        type=kind,
        created_at=call.now,
        updated_at=call.now,
        targets={name: identifier for name, identifier in targets.items() if identifier is not None},
    )
    tx.put(operation)
    if state.discovery_operations.count("region", call.region) > REMEMBERED:
        for forgotten in state.discovery_operations.by("region", call.region)[:-REMEMBERED]:
            tx.delete(forgotten)
    return operation.id


def put_tags(tx: Transaction, arn: str, tags: tuple[sd.Tag, ...] | None) -> None:
    """Write the tags that a resource is made with."""
    check_tags(tags or ())
    if tags:
        tx.put(ResourceTags(arn=arn, tags=tuple(ecs.Tag(key=tag.key, value=tag.value) for tag in tags)))


def check_tags(tags: tuple[sd.Tag, ...]) -> None:
    """Raise InvalidInput for keys that are doubled or AWS's own."""
    keys = [tag.key for tag in tags]
    if len(set(keys)) != len(keys):
        raise invalid_input("Duplicate tag keys are not allowed")
    if any(key.lower().startswith("aws:") for key in keys):
        raise invalid_input("Tag keys that start with aws: are reserved for AWS")


def drop_tags(state: State, tx: Transaction, arn: str) -> None:
    """Forget the tags of a resource that is deleted."""
    tags = state.tags.get(arn)
    if tags is not None:
        tx.delete(tags)
