"""The refusals of the alarm operations, by CloudWatch's codes."""

from __future__ import annotations

from openecs.errors import AWSError


def validation(message: str) -> AWSError:
    """Settings that make no alarm."""
    return AWSError("ValidationError", message)


def combination(message: str) -> AWSError:
    """Parameters that exclude each other."""
    return AWSError("InvalidParameterCombination", message)


def not_found(what: str, name: str) -> AWSError:
    """Something of that name is not there."""
    return AWSError("ResourceNotFound", f"Unknown {what}: {name}", status=404)
