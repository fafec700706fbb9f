"""What a client token stood for: the same token gets the same answer, no second task."""

from __future__ import annotations

from openecs.model.record import Record


class ClientToken(Record, frozen=True, kw_only=True):
    """One used ``clientToken`` of RunTask or StartTask in one cluster."""

    cluster_arn: str
    token: str
    #: SHA-256 of the request without the token; a different one is a conflict.
    request_hash: str
    task_arns: tuple[str, ...]
    used_at: float

    @property
    def key(self) -> str:
        return f"{self.cluster_arn}:{self.token}"
