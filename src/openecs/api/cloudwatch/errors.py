"""The refusals of the metric operations, by CloudWatch's codes."""

from __future__ import annotations

from openecs.errors import AWSError


def invalid_value(message: str) -> AWSError:
    """A parameter has a value that it must not have."""
    return AWSError("InvalidParameterValue", message)


def combination(message: str) -> AWSError:
    """Parameters that do not go together."""
    return AWSError("InvalidParameterCombination", message)


def missing(message: str) -> AWSError:
    """A parameter that must be there is not."""
    return AWSError("MissingParameter", message)


def validation(message: str) -> AWSError:
    """Queries that cannot be evaluated."""
    return AWSError("ValidationError", message)
