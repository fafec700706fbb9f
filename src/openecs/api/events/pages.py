"""Pages of EventBridge's lists: by name, 100 at most, with its own error for a wrong token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from openecs.api.events import errors
from openecs.errors import AWSError
from openecs.wire.pagination import Pagination


class Listing(Protocol):
    """What every listing request has."""

    @property
    def next_token(self) -> str | None: ...

    @property
    def limit(self) -> int | None: ...


def page(
    pagination: Pagination, names: Iterable[str], request: Listing, scope: str
) -> tuple[Sequence[str], str | None]:
    """One page of ``names`` in their order and the token of the next; ``scope`` names list and filters."""
    try:
        return pagination.paginate(
            sorted(names),
            max_results=request.limit,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=scope,
            member="limit",
        )
    except AWSError as error:
        raise errors.invalid(error.message) from None
