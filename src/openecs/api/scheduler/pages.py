"""Pages of Scheduler's lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from openecs.api.scheduler import errors
from openecs.errors import AWSError
from openecs.wire.pagination import Pagination

T = TypeVar("T", str, tuple[str, str])


class Listing(Protocol):
    """What every listing request has."""

    @property
    def next_token(self) -> str | None: ...

    @property
    def max_results(self) -> int | None: ...


def page(pagination: Pagination, keys: Iterable[T], request: Listing, scope: str) -> tuple[Sequence[T], str | None]:
    """One page of ``keys`` in their order and the token of the next; ``scope`` names list and filters."""
    try:
        return pagination.paginate(
            sorted(keys),
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=scope,
            member="MaxResults",
            invalid_token="Invalid NextToken",  # noqa: S106 -- words
        )
    except AWSError as error:
        raise errors.invalid(error.message) from None
