"""API clients of the simulation, and what they were ever promised.

A client signs its calls and sends them over a link; it may never hear of the outcome.  The
ledger keeps what replies said, and complains when the control plane takes something back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from simulated_network import SimulatedHttp
from workload import REGION

from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.model.task import STATUS_ORDER
from openecs.shapes import ecs
from openecs.shapes.base import Shape
from openecs.wire.generated.ecs import SERVICE
from openecs.wire.sigv4 import Credentials, sign


class Shown(NamedTuple):
    """The furthest that a task was shown to be at some time."""

    at: float
    order: int
    to_stop: bool


class Ledger:
    """What clients know for sure.  ``wrong(text)`` hears of broken promises."""

    def __init__(self, now: Callable[[], float], wrong: Callable[[str], None]) -> None:
        self._now = now
        self._wrong = wrong
        self._shown: dict[str, list[Shown]] = {}
        #: clientToken → task ARNs that a reply named.
        self.tokens: dict[str, frozenset[str]] = {}

    @property
    def tasks(self) -> Iterable[str]:
        return self._shown

    def newest(self, arn: str) -> Shown:
        return self._shown[arn][-1]

    def task(self, task: ecs.Task, asked_at: float) -> None:
        """A reply to a question of ``asked_at`` shows a task."""
        arn = task.task_arn or ""
        order = STATUS_ORDER[task.last_status or ""]
        to_stop = task.desired_status == "STOPPED"
        history = self._shown.setdefault(arn, [])
        known = next((shown for shown in reversed(history) if shown.at <= asked_at), None)
        if known is not None:
            if order < known.order:
                self._wrong(f"{arn} was shown at {known.order} and is shown at {order} later")
            if known.to_stop and not to_stop:
                self._wrong(f"{arn} was to stop and is not any more")
        last = history[-1] if history else Shown(0.0, 0, to_stop=False)
        newest = Shown(self._now(), max(order, last.order), to_stop or last.to_stop)
        if newest[1:] != last[1:] or not history:
            history.append(newest)

    def token(self, token: str, tasks: Iterable[ecs.Task]) -> None:
        """A reply to RunTask with that client token."""
        named = frozenset(task.task_arn or "" for task in tasks)
        known = self.tokens.get(token)
        if not known:
            # A call that could launch nothing may be repeated once there is room.
            self.tokens[token] = named
        elif not named <= known:
            self._wrong(f"client token {token} stood for {sorted(known)} and stands for {sorted(named)} now")


class Client:
    """One caller of the API.  Calls raise ``AWSError`` when refused, ``Retryable`` when the
    outcome is unknown."""

    def __init__(
        self, http: SimulatedHttp, credentials: Callable[[], Credentials], clock: Clock, wrong: Callable[[str], None]
    ) -> None:
        self._http = http
        self._wrong = wrong
        #: Whether the control plane's disk has failed: whoever waited for it then gets an internal error.
        self.disk_failed = False
        self._credentials = credentials
        self._clock = clock

    async def call(self, operation: str, request: Shape) -> Any:
        body = msgspec.json.encode(request)
        headers = {
            "Host": self._http.host_header,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{SERVICE.target_prefix}.{operation}",
        }
        headers |= sign(
            self._credentials(),
            method="POST",
            url=f"http://{self._http.host_header}/",
            headers=headers,
            body=body,
            region=REGION,
            service="ecs",
            now=self._clock.now(),
        )
        response = await self._http.request("POST", "/", headers=headers.items(), body=body)
        if response.status == 200:
            output = SERVICE.operations[operation].output
            assert output is not None
            return msgspec.json.decode(response.body, type=output)
        error = msgspec.json.decode(response.body)
        if response.status == 500 and not self.disk_failed:
            self._wrong(f"{operation} had an internal error: {error}")
        if response.status >= 500:
            raise Retryable(f"{operation}: {error}")
        raise AWSError(error["__type"], error["message"], status=response.status)
