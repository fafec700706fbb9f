"""From ``family``, ``family:revision`` or an ARN to the task definition that it means."""

from __future__ import annotations

from typing import NamedTuple

from openecs import arn as arns
from openecs.errors import client_error, invalid_parameter
from openecs.model.task_definition import TaskDefinition
from openecs.state.state import State


class Reference(NamedTuple):
    """What a caller wrote, taken apart.  ``arn`` is set when a full ARN was given."""

    family: str
    revision: int | None
    arn: str | None = None


def parse(text: str) -> Reference:
    """The parts of a reference; ``InvalidParameterException`` when it cannot be one."""
    if not text:
        raise invalid_parameter("TaskDefinition can not be blank.")
    name, arn = text, None
    if text.startswith("arn:"):
        parsed = arns.parse(text)
        if parsed is None or parsed.service != "ecs" or parsed.kind != "task-definition" or len(parsed.path) != 1:
            raise invalid_parameter("Identifier is for a different resource type: expected task-definition.")
        name, arn = parsed.path[0], text
    family, colon, number = name.partition(":")
    if not colon:
        return Reference(family, None, arn)
    if not (number.isascii() and number.isdigit()) or int(number[:20]) < 1:
        raise invalid_parameter(f"Invalid revision number. Number: {number}")
    return Reference(family, int(number[:20]), arn)


def find(state: State, region: str, text: str) -> TaskDefinition | None:
    """The revision that is meant, whatever its status; for a family the latest ACTIVE one."""
    reference = parse(text)
    if reference.arn is not None and reference.revision is not None:
        found = state.task_definitions.get(reference.arn)
        return found if found is not None and found.region == region else None
    revisions = state.task_definitions.by("family", (region, reference.family))
    if reference.arn is not None:
        revisions = tuple(one for one in revisions if one.arn.startswith(f"{reference.arn}:"))
    if reference.revision is not None:
        return next((one for one in reversed(revisions) if one.revision == reference.revision), None)
    # A change of status keeps a record's place, so the newest is usually the last.
    return max((one for one in revisions if one.status == "ACTIVE"), key=lambda one: one.revision, default=None)


def resolve(state: State, region: str, text: str) -> TaskDefinition:
    """The ACTIVE revision that new tasks and services may use.

    ``ClientException`` when there is none such or it was deregistered.
    """
    found = find(state, region, text)
    if found is None:
        raise client_error("TaskDefinition not found.")
    if found.status != "ACTIVE":
        raise client_error("TaskDefinition is inactive")
    return found
