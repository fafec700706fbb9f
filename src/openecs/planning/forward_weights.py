"""The forward action of a listener rule with other weights.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openecs.shapes import elbv2


def weighted(actions: tuple[elbv2.Action, ...], groups: Sequence[tuple[str, int]]) -> tuple[elbv2.Action, ...] | None:
    """``actions`` with exactly these target groups and weights; ``None``: they forward to nothing.

    Actions before the forward one, and stickiness to target groups, stay.
    """
    found = next((action for action in actions if action.type == "forward"), None)
    if found is None:
        return None
    config = found.forward_config or elbv2.ForwardActionConfig(
        target_group_stickiness_config=elbv2.TargetGroupStickinessConfig(enabled=False)
    )
    config = msgspec.structs.replace(
        config, target_groups=tuple(elbv2.TargetGroupTuple(target_group_arn=arn, weight=w) for arn, w in groups)
    )
    forward = msgspec.structs.replace(found, target_group_arn=None, forward_config=config)
    return tuple(forward if action is found else action for action in actions)


def forwarded(actions: tuple[elbv2.Action, ...]) -> frozenset[str] | None:
    """The target groups that actions forward to; ``None``: they forward to nothing."""
    found = next((action for action in actions if action.type == "forward"), None)
    if found is None:
        return None
    groups = found.forward_config.target_groups if found.forward_config is not None else None
    named = {group.target_group_arn for group in groups or () if group.target_group_arn}
    return frozenset(named | ({found.target_group_arn} if found.target_group_arn else set()))
