"""GetCallerIdentity: who signed this call."""

from __future__ import annotations

import base64
import hashlib

from openecs.shapes import sts as shapes
from openecs.wire.call import Call, Handlers, Principal

_UNIQUE_ID_CHARACTERS = 17


class CallerIdentity:
    """The one STS operation that every SDK and tool asks first."""

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"GetCallerIdentity": self.get_caller_identity}

    def get_caller_identity(
        self, call: Call, request: shapes.GetCallerIdentityRequest
    ) -> shapes.GetCallerIdentityResponse:
        """The account, ARN and unique id of the caller; needs no permission."""
        del request  # it has no members
        return shapes.GetCallerIdentityResponse(
            user_id=user_id(call.principal, call.account), account=call.account, arn=call.principal.arn
        )


def user_id(principal: Principal, account: str) -> str:
    """AWS's ``UserId``: the account for root, ``AROA…:session`` for an assumed role, ``AIDA…`` for a user."""
    resource = principal.arn.split(":", 5)[-1]
    kind, _, rest = resource.partition("/")
    if kind == "assumed-role":
        role, _, session = rest.rpartition("/")
        return f"{unique_id('AROA', f'{account}:role/{role}')}:{session}"
    if kind == "user":
        return unique_id("AIDA", f"{account}:user/{rest}")
    return account


def unique_id(prefix: str, name: str) -> str:
    """An id in the form of IAM's, always the same for the same name."""
    digest = hashlib.sha256(name.encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:_UNIQUE_ID_CHARACTERS]
