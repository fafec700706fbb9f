"""IF: one of two values at each data point of a condition; all but 0 is true."""

from __future__ import annotations

import math
from dataclasses import replace

from openecs.planning.metric_math.series import Range, Series, Value, with_points


def choose(_range: Range, arguments: tuple[Value | str, ...]) -> Value | None:
    """``IF(condition, yes)`` and ``IF(condition, yes, no)`` in the forms that CloudWatch documents."""
    match arguments:
        case (Series() as condition, Series() | float() as yes):
            return _chosen(condition, yes, math.nan)
        case (Series() as condition, Series() | float() as yes, Series() | float() as no):
            return _chosen(condition, yes, no)
        case (float() as condition, Series() as yes):
            return yes if condition else replace(yes, timestamps=(), values=())
        case (float() as condition, Series() as yes, Series() as no):
            return yes if condition else no
    return None


def _chosen(condition: Series, yes: Series | float, no: Series | float) -> Series:
    """What is chosen at each data point of the condition.

    As in CloudWatch's tables, a chosen series counts as 0 where it has no data point; only where
    ``yes`` is a number and ``no`` a series is the point dropped.
    """
    yes_at, yes_missing = _lookup(yes, 0.0)
    no_at, no_missing = _lookup(no, 0.0 if isinstance(yes, Series) else math.nan)
    labelled = next((operand for operand in (yes, no) if isinstance(operand, Series)), condition)
    return with_points(
        replace(condition, label=labelled.label),
        [
            (at, yes_at.get(at, yes_missing) if holds else no_at.get(at, no_missing))
            for at, holds in zip(condition.timestamps, condition.values, strict=True)
        ],
    )


def _lookup(operand: Series | float, missing: float) -> tuple[dict[float, float], float]:
    """The operand's values by timestamp, and its value everywhere else."""
    if isinstance(operand, float):
        return {}, operand
    return dict(zip(operand.timestamps, operand.values, strict=True)), missing
