"""The errors of CloudWatch Logs, in its words."""

from __future__ import annotations

from openecs.errors import AWSError

INVALID_TOKEN = "The specified nextToken is invalid."  # noqa: S105 -- words, not a credential


def invalid_parameter(message: str) -> AWSError:
    """A value that the operation cannot take."""
    return AWSError("InvalidParameterException", message)


def not_supported(field: str) -> AWSError:
    """A setting that OpenECS cannot honour; ``field`` as the request spells it."""
    return AWSError("InvalidParameterException", f"{field} is not supported by OpenECS.")


def group_not_found() -> AWSError:
    """No group of that name in the region."""
    return AWSError("ResourceNotFoundException", "The specified log group does not exist.")


def stream_not_found() -> AWSError:
    """No stream of that name in the group."""
    return AWSError("ResourceNotFoundException", "The specified log stream does not exist.")


def resource_not_found() -> AWSError:
    """The ARN names nothing that is here."""
    return AWSError("ResourceNotFoundException", "The specified resource does not exist.")


def group_exists() -> AWSError:
    """The name is taken."""
    return AWSError("ResourceAlreadyExistsException", "The specified log group already exists")


def stream_exists() -> AWSError:
    """The name is taken within the group."""
    return AWSError("ResourceAlreadyExistsException", "The specified log stream already exists")


def group_protected() -> AWSError:
    """The group must not be deleted, nor streams of it."""
    return AWSError(
        "ValidationException", "Log group has deletion protection enabled. Disable it to delete the log group."
    )


def invalid_token() -> AWSError:
    """A token that this operation did not give out."""
    return AWSError("InvalidParameterException", INVALID_TOKEN)


def service_unavailable() -> AWSError:
    """The disk refused; the caller may try again."""
    return AWSError("ServiceUnavailableException", "The service cannot complete the request.", status=500)
