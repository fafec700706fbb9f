"""Refusals that several resources of EC2 share, with EC2's codes and in its words."""

from __future__ import annotations

from openecs.errors import AWSError


def invalid_value(message: str) -> AWSError:
    """``InvalidParameterValue``."""
    return AWSError("InvalidParameterValue", message)


def bad_value(value: object, member: str, why: str = "") -> AWSError:
    """``InvalidParameterValue`` in EC2's usual form, with the reason when there is one to tell."""
    return invalid_value(f"Value ({value}) for parameter {member} is invalid.{' ' + why if why else ''}")


def invalid_combination(message: str) -> AWSError:
    """``InvalidParameterCombination``."""
    return AWSError("InvalidParameterCombination", message)


def missing(member: str) -> AWSError:
    """``MissingParameter``."""
    return AWSError("MissingParameter", f"The request must contain the parameter {member}")


def in_use(message: str) -> AWSError:
    """``DependencyViolation``: something else needs what is to be deleted."""
    return AWSError("DependencyViolation", message)


def not_permitted(message: str) -> AWSError:
    """``OperationNotPermitted``."""
    return AWSError("OperationNotPermitted", message)


def unsupported(what: str) -> AWSError:
    """The refusal of a setting that no host of ours can honour; ``what`` names it."""
    return AWSError("UnsupportedOperation", f"{what} is not supported by OpenECS.")
