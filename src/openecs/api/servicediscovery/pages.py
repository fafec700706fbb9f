"""Pages of the list operations, with Cloud Map's own refusal of a token that is not ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from openecs.api.servicediscovery.errors import invalid_input
from openecs.errors import AWSError
from openecs.wire.pagination import Pagination

T = TypeVar("T")
PAGE_SIZE = 100


def page(
    pagination: Pagination,
    items: Sequence[T],
    *,
    max_results: int | None,
    next_token: str | None,
    scope: str,
    key: Callable[[T], Any],
) -> tuple[Sequence[T], str | None]:
    """One page of ``items``, which are sorted by ``key``, and the token of the next one."""
    try:
        return pagination.paginate(
            items,
            max_results=max_results,
            next_token=next_token,
            default=PAGE_SIZE,
            limit=PAGE_SIZE,
            scope=scope,
            key=key,
            member="MaxResults",
        )
    except AWSError as error:
        raise invalid_input(error.message) from None
