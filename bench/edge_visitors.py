"""Visitors of a web page that never stop asking: some keep their connection, some open one for every request.

Whatever is no complete answer with status 200 has failed; nothing is tried a second time.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds between two requests of a visitor: a deployment is to be disturbed, not starved.
PAUSE = 0.01


class Visitors:
    """What they saw."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._end = threading.Event()
        self._lock = threading.Lock()
        #: Page → how often it was the answer.
        self.pages: Counter[str] = Counter()
        self.failures: list[str] = []

    def visit(self, *, keep: bool) -> None:
        """Ask until the end."""
        connection: http.client.HTTPConnection | None = None
        while not self._end.wait(PAUSE):
            connection = connection or http.client.HTTPConnection(*self._address, timeout=10)
            if not self._ask(connection) or not keep:
                connection.close()
                connection = None

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            page = response.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.failures.append(repr(error))
            return False
        with self._lock:
            if response.status == 200:
                self.pages[page] += 1
            else:
                self.failures.append(f"{response.status} {page[:80]}")
        return response.status == 200

    def leave(self) -> None:
        """No more requests."""
        self._end.set()


@contextmanager
def visitors(address: str, *, keeping: int = 2, connecting: int = 2) -> Iterator[Visitors]:
    """Visitors for as long as the block runs; ``address`` with its port."""
    all_of_them = Visitors(address)
    kinds = [True] * keeping + [False] * connecting
    threads = [threading.Thread(target=all_of_them.visit, kwargs={"keep": kind}, daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        yield all_of_them
    finally:
        all_of_them.leave()
        for thread in threads:
            thread.join(30)
