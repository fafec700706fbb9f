"""Clients under which a control plane is killed: what they asked for, and what they were told.

Each client is a thread with names of its own, so it knows exactly what must be there: everything
that was acknowledged, and of the one call that was cut off either all or nothing.  A call that
got no answer is repeated with the same token, as clients do.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openecs.cli.client import CallError, Client, UnreachableError

#: What one client makes at most, so that looking at all of it takes seconds.
MOST_DEFINITIONS, MOST_ALIVE = 120, 60
CONTAINER = {"name": "main", "image": "busybox", "cpu": 1, "memory": 8}


@dataclass
class Ledger:
    """What one client was told."""

    #: Task ARN → the client token of the call that started it.
    tasks: dict[str, str] = field(default_factory=dict)
    #: Tokens of RunTask calls, and how many tasks each asked for.
    tokens: dict[str, int] = field(default_factory=dict)
    #: Tasks whose StopTask was acknowledged → the reason given.
    stopped: dict[str, str] = field(default_factory=dict)
    #: Tasks for which a StopTask was sent.
    stopping: set[str] = field(default_factory=set)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    deregistered: set[str] = field(default_factory=set)
    #: Service → the desired counts that it may have: one, or two after an update without answer.
    services: dict[str, set[int]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    #: Resource → tags acknowledged, values by key; a value in doubt is a set of two.
    tags: dict[str, dict[str, set[str]]] = field(default_factory=dict)


class LoadClient(threading.Thread):
    """One client that goes on until told to stop."""

    def __init__(self, number: int, seed: int, client: Client, acknowledged: Callable[[], None]) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.ledger = Ledger()
        self.problem: BaseException | None = None
        self._prefix = f"c{number}"
        self._random = random.Random(seed)
        self._client = client
        self._acknowledged = acknowledged
        self._enough = threading.Event()
        self._count = 0

    def stop(self) -> None:
        """Finish the call that is under way and end."""
        self._enough.set()
        self.join()
        if self.problem is not None:
            raise AssertionError(f"{self.name} failed") from self.problem

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._random.choice(
                    [
                        self._register,
                        self._run_task,
                        self._run_task,
                        self._run_task,
                        self._stop_task,
                        self._stop_task,
                        self._service,
                        self._tag_one,
                    ]
                )()
        except BaseException as error:  # noqa: BLE001 -- raised again by stop
            self.problem = error

    def _call(self, operation: str, /, **members: Any) -> dict[str, Any]:
        reply = self._client.call("ecs", operation, **members)
        self._acknowledged()
        return reply

    def _insist(self, operation: str, /, **members: Any) -> dict[str, Any] | None:
        """Repeat a call until it is answered; ``None`` when the test ends before."""
        repeated = False
        while not self._enough.is_set():
            try:
                return self._call(operation, **members)
            except UnreachableError:
                repeated = True
                self._enough.wait(0.05)
            except CallError as error:
                # The deletion whose answer got lost was done.
                if repeated and error.code == "ServiceNotFoundException" and operation == "DeleteService":
                    return {}
                raise
        return None

    def _fresh(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def _register(self) -> None:
        if len(self.ledger.definitions) >= MOST_DEFINITIONS:
            self._tag_one()
            return
        value = self._fresh()
        container = {**CONTAINER, "environment": [{"name": "WHO", "value": value}]}
        reply = self._insist("RegisterTaskDefinition", family=self._prefix, containerDefinitions=[container])
        if reply is not None:
            definition = reply["taskDefinition"]
            self.ledger.definitions[definition["taskDefinitionArn"]] = definition
            if self._random.random() < 0.3:
                gone = self._insist("DeregisterTaskDefinition", taskDefinition=definition["taskDefinitionArn"])
                if gone is not None:
                    self.ledger.deregistered.add(definition["taskDefinitionArn"])

    def _usable(self) -> str | None:
        usable = [arn for arn in self.ledger.definitions if arn not in self.ledger.deregistered]
        return self._random.choice(usable) if usable else None

    def _run_task(self) -> None:
        definition = self._usable()
        if definition is None:
            return
        if len(self.ledger.tasks) - len(self.ledger.stopping) >= MOST_ALIVE:
            self._stop_task()
            return
        token, count = self._fresh(), self._random.randint(1, 3)
        self.ledger.tokens[token] = count
        reply = self._insist("RunTask", taskDefinition=definition, count=count, startedBy=token, clientToken=token)
        for task in reply["tasks"] if reply else ():
            self.ledger.tasks[task["taskArn"]] = token

    def _stop_task(self) -> None:
        alive = [arn for arn in self.ledger.tasks if arn not in self.ledger.stopping]
        if not alive:
            return
        arn = self._random.choice(alive)
        self.ledger.stopping.add(arn)
        reply = self._insist("StopTask", task=arn, reason=self._prefix)
        if reply is not None:
            assert reply["task"]["desiredStatus"] == "STOPPED"
            self.ledger.stopped[arn] = self._prefix

    def _service(self) -> None:
        definition = self._usable()
        if definition is None:
            return
        mine = [name for name in self.ledger.services if name not in self.ledger.deleted]
        desired = self._random.randint(0, 2)
        if len(mine) < 2:
            name = self._fresh()
            self.ledger.services[name] = {desired, -1}
            made = self._insist(
                "CreateService", serviceName=name, taskDefinition=definition, desiredCount=desired, clientToken=name
            )
            if made is not None:
                self.ledger.services[name] = {desired}
            return
        name = self._random.choice(mine)
        if self._random.random() < 0.2:
            self.ledger.services[name].add(-1)
            if self._insist("DeleteService", service=name, force=True) is not None:
                self.ledger.services[name] = {-1}
                self.ledger.deleted.add(name)
            return
        self.ledger.services[name].add(desired)
        if self._insist("UpdateService", service=name, desiredCount=desired) is not None:
            self.ledger.services[name] = {desired}

    def _tag_one(self) -> None:
        if not self.ledger.definitions:
            return
        arn = self._random.choice(list(self.ledger.definitions))
        value = self._fresh()
        values = self.ledger.tags.setdefault(arn, {}).setdefault("by", {""})
        values.add(value)
        if self._insist("TagResource", resourceArn=arn, tags=[{"key": "by", "value": value}]) is not None:
            self.ledger.tags[arn]["by"] = {value}
