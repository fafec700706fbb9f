"""Pages of Elastic Load Balancing: ``Marker`` and ``PageSize``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from openecs.api.elbv2.errors import validation_error
from openecs.errors import AWSError
from openecs.wire.pagination import Pagination

T = TypeVar("T")
#: Both what a page has by default and the most that can be asked for.
LARGEST_PAGE = 400


class Pages:
    """Cuts sorted lists into pages."""

    def __init__(self, pagination: Pagination) -> None:
        self._pagination = pagination

    def page(
        self, items: Sequence[T], size: int | None, marker: str | None, scope: str, key: Callable[[T], Any]
    ) -> tuple[Sequence[T], str | None]:
        """One page of ``items``, which are sorted by ``key``, and the marker of the next."""
        try:
            return self._pagination.paginate(
                items,
                max_results=size,
                next_token=marker,
                default=LARGEST_PAGE,
                limit=LARGEST_PAGE,
                scope=f"elbv2/{scope}",
                key=key,
                member="pageSize",
                invalid_token="The marker is not valid",  # noqa: S106 -- words, not a credential
            )
        except AWSError as error:
            raise validation_error(error.message) from None
