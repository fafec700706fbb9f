"""Access keys and the principals that they speak for."""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record

PrincipalKind = Literal["root", "agent", "execution", "task"]


class AccessKey(Record, frozen=True, kw_only=True):
    """One key pair.  The secret is sealed; only the key ring can open it.

    ``kind`` decides what the key may do: ``root`` everything, ``agent`` the agent's own
    operations on its own instances, ``execution`` what AWS's task execution role policy allows,
    ``task`` only what is about its own task, until roles have policies.
    """

    access_key_id: str
    sealed_secret: str
    principal_arn: str
    kind: PrincipalKind
    created_at: float
    #: Set for temporary keys: calls must carry exactly this session token.
    session_token: str | None = None
    expires_at: float | None = None
    #: The task for which a temporary key was made; it is revoked when the task stops.
    task_arn: str | None = None
    role_arn: str | None = None

    @property
    def key(self) -> str:
        return self.access_key_id
