"""Where an HTTP peer listens: a Unix socket or a TCP port, with or without TLS."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import msgspec


class UnixAddress(msgspec.Struct, frozen=True):
    """A Unix socket in the file system."""

    path: str

    @property
    def host_header(self) -> str:
        """Unix sockets have no name; servers expect some ``Host`` all the same."""
        return "localhost"

    def __str__(self) -> str:
        return f"unix://{self.path}"


class TcpAddress(msgspec.Struct, frozen=True):
    """A TCP port; ``tls`` says whether to speak TLS on it."""

    host: str
    port: int
    tls: bool = False

    @property
    def host_header(self) -> str:
        """The ``Host`` header as browsers and AWS clients send it: without a default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host_header}"


Address = UnixAddress | TcpAddress


def parse_address(url: str) -> Address:
    """The address in ``unix:///path``, ``http://host[:port]``, ``https://…`` or ``tcp://host:port``.

    A path, query or user name behind a TCP address is refused, because it would be ignored.
    Raises ``ValueError`` with a sentence that names the url.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        path = unquote(parts.netloc + parts.path)
        if not path.startswith("/"):
            raise ValueError(f"{url!r} names no socket: write unix:///path/to/the.sock")
        return UnixAddress(path)
    if parts.scheme not in {"http", "https", "tcp"}:
        raise ValueError(
            f"{url!r} is no address of an HTTP server: it must begin with unix://, http://, https:// or tcp://"
        )
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} must be a host and a port only, as in {parts.scheme}://127.0.0.1:8000")
    tls = parts.scheme == "https"
    return TcpAddress(parts.hostname, parts.port or (443 if tls else 80), tls=tls)
