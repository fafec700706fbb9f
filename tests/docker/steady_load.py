"""Clients that never stop asking: some on one connection each, some on a new one for every request.

Whatever is no complete answer 200 counts as failed, and so does a connection that ends while it
is used: nothing is tried a second time.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from types import TracebackType
from typing import Self


class SteadyLoad:
    """Asks in threads of its own while the ``with`` block runs."""

    def __init__(self, endpoint: str, *, keeping: int = 2, connecting: int = 2, path: str = "/") -> None:
        host, _, port = endpoint.rpartition(":")
        self._address = (host, int(port))
        self._path = path
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.clients = keeping + connecting
        #: Body → how often it was the answer.
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(keeping)]
        self._threads += [threading.Thread(target=self._connect, daemon=True) for _ in range(connecting)]

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + len(self.failures)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._address, timeout=10)

    def _keep(self) -> None:
        connection = self._open()
        while not self._end.wait(0.005):
            if not self._ask(connection, "kept"):
                connection.close()
                connection = self._open()
        connection.close()

    def _connect(self) -> None:
        while not self._end.wait(0.005):
            connection = self._open()
            self._ask(connection, "new")
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, kind: str) -> bool:
        try:
            connection.request("GET", self._path)
            response = connection.getresponse()
            body = response.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            said = f"{kind} connection: {error!r}"
        else:
            said = "" if response.status == 200 else f"{kind} connection: {response.status} {body[:200]}"
        with self._lock:
            if said:
                self.failures.append(said)
            else:
                self.answers[body] += 1
        return not said
