"""A client that goes on connecting to a service's tasks, by the rule that deployments follow.

It learns the tasks as a service registry would, from DescribeTasks: who is RUNNING, HEALTHY and
not told to stop has to answer.  A failed connection is excused only when the task was told to
stop, or lost its health, before it is asked about again; what it was told is durable before
the task's machine hears of it, so a look afterwards decides.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class FollowingClient:
    """Connects round after round in a thread of its own while the ``with`` block runs."""

    def __init__(
        self,
        ecs: Any,
        service: str,
        *,
        cluster: str = "default",
        of_definition: str | None = None,
        address: Callable[[dict[str, Any]], str] = lambda _: "127.0.0.1",
    ) -> None:
        # A client of boto3 may be shared among threads.
        self._ecs = ecs
        self._service = service
        self._cluster = cluster
        #: Where a task's host ports are.
        self._address = address
        #: Follows only tasks of this definition, which has no health checks.
        self._of_definition = of_definition
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._trouble: BaseException | None = None
        #: What went against the rule, in words.
        self.wrong: list[str] = []
        #: The fewest tasks that were healthy at one moment.
        self.fewest_healthy = 10**6
        #: The fewest answers in a round during which nobody was told to stop.
        self.fewest_answers = 10**6
        self.rounds = 0
        #: Answer → how often it was given.
        self.answers: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        if self._trouble is not None and kind is None:
            raise self._trouble

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                self._round()
        except BaseException as error:  # noqa: BLE001 -- raised again where the test waits
            self._trouble = error

    def _round(self) -> None:
        arns = self._ecs.list_tasks(cluster=self._cluster, serviceName=self._service)["taskArns"]
        healthy = [task for task in self._described(arns) if self._healthy(task)]
        self.fewest_healthy = min(self.fewest_healthy, len(healthy))
        answered = 0
        silent = {}
        for task in healthy:
            (binding,) = task["containers"][0]["networkBindings"]
            try:
                self.answers[_page(self._address(task), binding["hostPort"])] += 1
                answered += 1
            except OSError as error:
                silent[task["taskArn"]] = error
        excused = 0
        for task in self._described(list(silent)):
            if self._healthy(task):
                self.wrong.append(f"{task['taskArn']} does not answer: {silent[task['taskArn']]}")
            else:
                excused += 1
        if not excused:
            self.fewest_answers = min(self.fewest_answers, answered)
        self.rounds += 1

    def _described(self, arns: list[str]) -> list[dict[str, Any]]:
        if not arns:
            return []
        tasks: list[dict[str, Any]] = self._ecs.describe_tasks(cluster=self._cluster, tasks=arns)["tasks"]
        return tasks

    def _healthy(self, task: dict[str, Any]) -> bool:
        if task["lastStatus"] != "RUNNING" or task["desiredStatus"] != "RUNNING":
            return False
        if self._of_definition is not None:
            return bool(task["taskDefinitionArn"] == self._of_definition)
        return bool(task["healthStatus"] == "HEALTHY")


def _page(address: str, port: int) -> str:
    """What the server says; ``OSError`` when it says nothing."""
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while more := connection.recv(4096):
            said += more
    head, _, body = said.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.0 200") and not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"answered {head[:40]!r}")
    return body.decode().strip()
