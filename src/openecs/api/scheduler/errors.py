"""The errors of EventBridge Scheduler, in its words."""

from __future__ import annotations

from openecs.errors import AWSError


def invalid(message: str) -> AWSError:
    """A value that the operation cannot take."""
    return AWSError("ValidationException", message)


def not_supported(what: str) -> AWSError:
    """A setting that OpenECS cannot honour; ``what`` names it."""
    return invalid(f"{what} is not supported by OpenECS.")


def schedule_not_found(name: str) -> AWSError:
    """No schedule of that name in the group."""
    return AWSError("ResourceNotFoundException", f"Schedule {name} does not exist.", status=404)


def group_not_found(name: str) -> AWSError:
    """No group of that name."""
    return AWSError("ResourceNotFoundException", f"Schedule group {name} does not exist.", status=404)


def conflict(message: str) -> AWSError:
    """What is there stands against it."""
    return AWSError("ConflictException", message, status=409)


def quota(message: str) -> AWSError:
    """A quota is used up."""
    return AWSError("ServiceQuotaExceededException", message, status=402)
