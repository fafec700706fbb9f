"""What can go wrong between us and an HTTP peer, apart from what its replies say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openecs.errors import Retryable

if TYPE_CHECKING:
    from openecs.http.response import Response


class HttpUnavailable(Retryable):
    """The peer could not be reached, or hung up before the reply was whole."""


class HttpTimeout(HttpUnavailable):
    """The peer did not answer in the time that the caller allowed."""


class StaleConnection(HttpUnavailable):
    """A pooled connection ended before one byte of the reply came; the request may be repeated."""


class HttpProtocolError(Exception):
    """The peer sent something that is not HTTP/1.1, or more than the caller allowed."""


class HttpUpgradeError(Exception):
    """The peer answered an upgrade with an ordinary reply, kept in ``response``."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the peer refused to upgrade the connection: HTTP {response.status}")
        self.response = response
