"""The kinds of error that OpenECS raises on purpose.

* ``AWSError``: the caller of an API operation did something that AWS refuses.  It carries
  AWS's code and wording and becomes the reply.  Nothing was changed.
* ``Retryable``: the world is not ready (an engine restarts, a peer is away).  Loops back off.
* ``OperatorError``: whoever runs the installation must act.  The text says what to do next.

Everything else is a bug and propagates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AWSError(Exception):
    """An error answer of the AWS API: ``code`` as on the wire, HTTP ``status``, ``message``."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        #: Further members of the modelled error (``resourceIds`` of ConflictException).
        self.members: Mapping[str, Any] = members or {}

    def __repr__(self) -> str:
        return f"AWSError({self.code!r}, {self.message!r}, status={self.status})"


class Retryable(Exception):  # noqa: N818 -- a state of the world, not an error
    """The operation may succeed later without anybody changing anything."""


class OperatorError(Exception):
    """Something only the operator can put right; the text ends with the next step."""


def invalid_parameter(message: str) -> AWSError:
    """ECS's ``InvalidParameterException``."""
    return AWSError("InvalidParameterException", message)


def client_error(message: str) -> AWSError:
    """ECS's ``ClientException``."""
    return AWSError("ClientException", message)


def not_supported(what: str) -> AWSError:
    """The refusal of a setting that OpenECS cannot honour; ``what`` names the field."""
    return AWSError("ClientException", f"{what} is not supported by OpenECS.")
