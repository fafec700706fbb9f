"""Client tokens: a request that is sent again gets what its first time made, and makes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from openecs.errors import AWSError


class Made(Protocol):
    """A record that remembers the token of the request that made it."""

    @property
    def client_token(self) -> str | None:
        """The token; None when there was none."""


M = TypeVar("M", bound=Made)


def made_before(records: Iterable[M], token: str | None, same: Callable[[M], bool]) -> M | None:
    """The record that a request with this token made before; None when there is none.

    ``same`` tells whether that was the same request.  Raises IdempotentParameterMismatch when not.
    """
    if token is None:
        return None
    made = next((record for record in records if record.client_token == token), None)
    if made is not None and not same(made):
        raise AWSError("IdempotentParameterMismatch", "The client token was used with other parameters before.")
    return made
