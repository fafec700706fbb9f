"""Placement constraints of a task definition: memberOf expressions that parse."""

from __future__ import annotations

from openecs.errors import client_error
from openecs.planning.cluster_query import QueryError, parse
from openecs.shapes import ecs

_MOST = 10
_LONGEST_EXPRESSION = 2000


def check(constraints: tuple[ecs.TaskDefinitionPlacementConstraint, ...]) -> None:
    """At most ten, each with an expression of the cluster query language."""
    if len(constraints) > _MOST:
        raise client_error(f"placementConstraints must have at most {_MOST} members.")
    for constraint in constraints:
        if constraint.type != "memberOf":
            raise client_error("placementConstraints.type must be memberOf.")
        if not constraint.expression or len(constraint.expression) > _LONGEST_EXPRESSION:
            raise client_error(
                f"placementConstraints.expression must have between 1 and {_LONGEST_EXPRESSION} characters."
            )
        try:
            parse(constraint.expression)
        except QueryError as error:
            raise client_error(f"Invalid expression in placementConstraints: {error}.") from None
