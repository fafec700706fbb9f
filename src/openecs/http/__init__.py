"""A small HTTP/1.1 client for Unix and TCP sockets on httptools: engine, control plane, loopback.

It keeps connections alive, repeats a request once when a pooled connection turned out to be
dead, streams replies and hands over upgraded connections.  It follows no redirects, knows no
proxies, no cookies and no content encodings: none of its peers needs them.
"""

from __future__ import annotations

from openecs.http.address import TcpAddress, UnixAddress, parse_address
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError, HttpTimeout, HttpUnavailable, HttpUpgradeError
from openecs.http.response import Response, StreamingResponse, UpgradedStream

__all__ = [
    "HttpClient",
    "HttpProtocolError",
    "HttpTimeout",
    "HttpUnavailable",
    "HttpUpgradeError",
    "Response",
    "StreamingResponse",
    "TcpAddress",
    "UnixAddress",
    "UpgradedStream",
    "parse_address",
]
