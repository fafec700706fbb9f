"""Finding the group and stream that a request names; ARNs of both."""

from __future__ import annotations

from openecs import arn
from openecs.api.logs.errors import (
    group_not_found,
    invalid_parameter,
    not_supported,
    resource_not_found,
    stream_not_found,
)
from openecs.logs.records import LogGroup, LogStream
from openecs.logs.store import LogStore
from openecs.wire.call import Call


def group_arn(call: Call, name: str) -> str:
    """The ARN of a log group without the ``:*`` that some members carry."""
    return f"arn:aws:logs:{call.region}:{call.account}:log-group:{name}"


def stream_arn(call: Call, group: str, name: str) -> str:
    """The ARN of a log stream."""
    return f"{group_arn(call, group)}:log-stream:{name}"


def find_group(store: LogStore, call: Call, name: str) -> LogGroup:
    """The group of that name in the call's region; ``ResourceNotFoundException`` without one."""
    group = store.groups(call.region).get(name)
    if group is None:
        raise group_not_found()
    return group


def find_stream(group: LogGroup, name: str) -> LogStream:
    """The group's stream of that name; ``ResourceNotFoundException`` without one."""
    stream = group.streams.get(name)
    if stream is None:
        raise stream_not_found()
    return stream


def name_or_identifier(call: Call, name: str | None, identifier: str | None) -> str:
    """The group's name out of ``logGroupName`` and ``logGroupIdentifier``, of which exactly one is given."""
    if name is not None and identifier is not None:
        raise invalid_parameter("Only one of logGroupName and logGroupIdentifier can be specified.")
    if name is not None:
        return name
    if identifier is None:
        raise invalid_parameter("Either logGroupName or logGroupIdentifier must be specified.")
    return group_name(call, identifier)


def group_name(call: Call, identifier: str) -> str:
    """The name out of a log group identifier: a name, or an ARN of this account and region."""
    if not identifier.startswith("arn:"):
        return identifier
    parsed = arn.parse(identifier)
    if parsed is None or parsed.service != "logs" or not parsed.resource.startswith("log-group:"):
        raise invalid_parameter(f"Invalid log group identifier: {identifier}")
    if parsed.account != call.account:
        raise not_supported("logGroupIdentifier of another account")
    name = parsed.resource.removeprefix("log-group:")
    if parsed.region != call.region or ":" in name:
        raise invalid_parameter(f"Invalid log group identifier: {identifier}")
    return name


def group_of_resource(store: LogStore, call: Call, resource_arn: str) -> LogGroup:
    """The group that a tagging operation names by its ARN, with or without ``:*``."""
    parsed = arn.parse(resource_arn)
    if parsed is None or parsed.service != "logs":
        raise invalid_parameter(f"Invalid resource ARN: {resource_arn}")
    kind, _, name = parsed.resource.removesuffix(":*").partition(":")
    if kind != "log-group" or (parsed.region, parsed.account) != (call.region, call.account):
        raise resource_not_found()
    return find_group(store, call, name)
