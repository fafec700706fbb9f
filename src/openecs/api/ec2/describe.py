"""What all Describe operations of EC2 do alike: named ids, filters, sorted pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from openecs.api.ec2 import filters as filtering
from openecs.api.ec2.resources import Kind
from openecs.api.ec2.tags import tags_of
from openecs.errors import AWSError
from openecs.shapes import ec2, ecs
from openecs.state.state import State
from openecs.state.table import Keyed
from openecs.wire.call import Call
from openecs.wire.pagination import Pagination

R = TypeVar("R", bound=Keyed)
T = TypeVar("T")

LIMIT = 1000


class Describer:
    """Chooses and pages the records of a Describe operation."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def select(
        self,
        call: Call,
        kind: Kind,
        records: Iterable[R],
        fields: filtering.Fields[R],
        *,
        ids: Sequence[str] | None = None,
        filters: Sequence[ec2.Filter] | None = None,
        max_results: int | None = None,
        next_token: str | None = None,
    ) -> tuple[Sequence[R], str | None]:
        """One page, sorted by id, and the token of the next one.

        ``records`` are all of the caller's region.  Raises the kind's not-found error for an id
        in ``ids`` that none of them has.
        """
        found = {record.key: record for record in records}
        for wanted in ids or ():
            if wanted not in found:
                raise kind.missing(wanted)
        chosen = [found[wanted] for wanted in dict.fromkeys(ids)] if ids else found.values()
        return self.page(
            call,
            filtering.matching(chosen, filters, fields, self._tags),
            key=lambda record: record.key,
            scope=(tuple(ids or ()), filters),
            max_results=max_results,
            next_token=next_token,
        )

    def page(
        self,
        call: Call,
        items: Iterable[T],
        *,
        key: Callable[[T], Any],
        scope: Any,
        max_results: int | None,
        next_token: str | None,
        limit: int = LIMIT,
    ) -> tuple[Sequence[T], str | None]:
        """One page of ``items`` sorted by ``key``; ``LIMIT`` of them when no number is named.

        ``scope`` is what else the request asks for: a token continues only the same request.
        """
        ordered = sorted(items, key=key)
        try:
            return self._pagination.paginate(
                ordered,
                max_results=max_results,
                next_token=next_token,
                default=LIMIT,
                limit=limit,
                scope=f"{call.operation}:{call.region}:{scope!r}",
                key=key,
                invalid_token="Unable to parse pagination token",  # noqa: S106 -- words, not a credential
            )
        except AWSError as error:
            raise AWSError("InvalidParameterValue", error.message) from None

    def _tags(self, record: Keyed) -> tuple[ecs.Tag, ...]:
        return tags_of(self._state, record.key)
