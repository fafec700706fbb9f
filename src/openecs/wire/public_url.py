"""Under which URL a client that reached us finds us again.  Pure.

Without an advertised URL that is the one that the client wrote.  With one, requests may have
come through a proxy, which speaks TLS where we do not and may bring the client's Host header or
one of its own; only who called the bound address itself did not come through it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 -- compared, not bound


class PublicUrl:
    """Call it with a request's scheme and Host header."""

    def __init__(self, advertised: str | None = None, *, bind: str = "127.0.0.1", port: int = 0) -> None:
        """``advertised`` is a URL; ``bind`` and ``port`` are where the server listens."""
        self._advertised = advertised.rstrip("/") if advertised else None
        self._place = _place(self._advertised) if self._advertised else None
        self._bind = bind.lower()
        self._port = port

    def __call__(self, scheme: str, host: str) -> str:
        """The URL, without a trailing slash."""
        called = f"{scheme}://{host}"
        if self._advertised is None:
            return called
        place = _place(called)
        if place is not None and place != self._place and self._is_bound(*place):
            return called
        return self._advertised

    def _is_bound(self, name: str, port: int) -> bool:
        return port == self._port and (name == self._bind or self._bind in _EVERYWHERE)


def _place(url: str) -> tuple[str, int] | None:
    """Host name and port; ``None`` when it has none that could be called."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return ((parts.hostname or "").lower(), port) if parts.hostname else None
