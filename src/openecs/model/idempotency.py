"""What a client token stood for: the same token gets the same answer, no second task."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import ecs


class ClientToken(Record, frozen=True, kw_only=True):
    """One used ``clientToken`` of RunTask or CreateService in one cluster."""

    cluster_arn: str
    token: str
    #: SHA-256 of the request; a different one is a conflict.
    request_hash: str
    task_arns: tuple[str, ...]
    #: Why RunTask could not start the others of the tasks that were asked for.
    failures: tuple[ecs.Failure, ...] = ()
    used_at: float

    @property
    def key(self) -> str:
        return f"{self.cluster_arn}:{self.token}"
