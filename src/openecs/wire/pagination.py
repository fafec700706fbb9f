"""Pages of a sorted list, continued by opaque tokens that cannot be forged or reused elsewhere.

A token holds the key of the last item that its page showed.  The next page starts after that
key, so items that come or go between two calls shift nothing and nothing is shown twice.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from openecs.errors import AWSError, invalid_parameter

T = TypeVar("T")

_MAC_BYTES = 16


class Pagination:
    """Makes and reads tokens with ``secret``, which must outlive restarts for tokens to do so."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the secret of the pagination tokens must have at least 16 bytes")
        self._secret = secret

    def __repr__(self) -> str:
        return "Pagination()"

    def paginate(
        self,
        keys: Sequence[T],
        *,
        max_results: int | None,
        next_token: str | None,
        default: int,
        limit: int,
        scope: str,
        key: Callable[[T], Any] | None = None,
        descending: bool = False,
        member: str = "maxResults",
        invalid_token: str = "Invalid token.",  # noqa: S107 -- words, not a credential
    ) -> tuple[Sequence[T], str | None]:
        """One page of ``keys`` and the token of the next page, ``None`` on the last.

        ``keys`` are sorted, ascending unless ``descending``.  What is sorted by is ``key`` of
        an item (the item itself by default): a text, a number or a tuple of them, different
        for every item.  ``default`` items make a page where the caller names no number;
        ``limit`` is the most that the caller may name in ``member``.

        ``scope`` names what is listed, filters included (``ListTasks/default/RUNNING``): a
        token continues only the list that it came from.  Raises InvalidParameterException for
        a number out of range and, with the text ``invalid_token``, for a token that is not ours.
        """
        size = default if max_results is None else max_results
        if size < 1 or size > limit:
            raise _out_of_range(size, limit, member)
        key_of = key if key is not None else _itself
        start = 0
        if next_token:
            start = _after(keys, self._read(next_token, scope, invalid_token), key_of, descending=descending)
        page = keys[start : start + size]
        if not page or start + size >= len(keys):
            return page, None
        return page, self._token(key_of(page[-1]), scope)

    def _mac(self, payload: bytes, scope: str) -> bytes:
        return hmac.digest(self._secret, scope.encode() + b"\0" + payload, "sha256")[:_MAC_BYTES]

    def _token(self, last: Any, scope: str) -> str:
        payload = msgspec.json.encode(last)
        return base64.urlsafe_b64encode(self._mac(payload, scope) + payload).decode()

    def _read(self, token: str, scope: str, invalid_token: str) -> Any:
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise invalid_parameter(invalid_token) from None
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, scope)):
            raise invalid_parameter(invalid_token)
        last = msgspec.json.decode(payload)
        return tuple(last) if isinstance(last, list) else last


def _itself(item: Any) -> Any:
    return item


def _after(keys: Sequence[T], last: Any, key_of: Callable[[T], Any], *, descending: bool) -> int:
    """The index of the first item behind ``last``, by bisection."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        here = key_of(keys[middle])
        if (here < last) if descending else (last < here):
            high = middle
        else:
            low = middle + 1
    return low


def _out_of_range(size: int, limit: int, member: str) -> AWSError:
    edge = "greater than or equal to 1" if size < 1 else f"less than or equal to {limit}"
    return invalid_parameter(
        f"1 validation error detected: Value '{size}' at '{member}' failed to satisfy constraint: "
        f"Member must have value {edge}"
    )
