"""What the operations of EC2 Auto Scaling share: finding groups and machines, pages, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from openecs.errors import AWSError
from openecs.model.auto_scaling_group import AutoScalingGroup, GroupInstance
from openecs.state.state import State
from openecs.wire.call import Call
from openecs.wire.pagination import Pagination

T = TypeVar("T")


def validation(message: str) -> AWSError:
    """A refusal of what was asked."""
    return AWSError("ValidationError", message)


def find_group(state: State, call: Call, name: str) -> AutoScalingGroup | None:
    """The group of that name (or ARN) in the caller's region."""
    groups = state.auto_scaling_groups.by("region", call.region)
    return next((group for group in groups if name in (group.name, group.arn)), None)


def group_named(state: State, call: Call, name: str) -> AutoScalingGroup:
    """The same; AWS's refusal when there is none."""
    group = find_group(state, call, name)
    if group is None:
        raise validation(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def instance_named(state: State, call: Call, instance_id: str) -> GroupInstance:
    """A machine of some group; AWS's refusal when there is none."""
    found = state.group_instances.get(instance_id)
    if found is None or found.region != call.region:
        raise validation(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
    return found


def page(
    pagination: Pagination,
    items: Sequence[T],
    *,
    max_records: int | None,
    next_token: str | None,
    scope: str,
    key: Callable[[T], Any],
    default: int = 50,
    descending: bool = False,
) -> tuple[tuple[T, ...], str | None]:
    """One page and the token of the next one; at most 100 items, as on AWS."""
    try:
        shown, token = pagination.paginate(
            items,
            max_results=max_records,
            next_token=next_token,
            default=default,
            limit=100,
            scope=f"autoscaling:{scope}",
            key=key,
            descending=descending,
            member="MaxRecords",
        )
    except AWSError as error:
        code = "ValidationError" if "MaxRecords" in error.message else "InvalidNextToken"
        raise AWSError(code, error.message) from None
    return tuple(shown), token
