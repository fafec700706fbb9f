"""Calls of served operations from inside the control plane, as if a client had made them.

Rules, schedules and the like act on services through the same handlers as everybody, with the
same checks.  Not for hot paths, and not for what one transaction must hold together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from openecs.clock import Clock
from openecs.errors import AWSError
from openecs.ids import Ids
from openecs.model.history import Actor
from openecs.wire.call import Call, Principal, acting
from openecs.wire.json_codec import JsonCodec
from openecs.wire.served import Route, ServedService, routes_of


class InsideCaller:
    """Finds the handler of an operation and calls it; returns when the result is durable."""

    def __init__(
        self,
        services: Mapping[str, ServedService],
        *,
        account: str,
        clock: Clock,
        ids: Ids,
        barrier: Callable[[], Awaitable[None]],
        endpoint: str,
    ) -> None:
        codec = JsonCodec()
        self._codec = codec
        self._routes: dict[str, dict[str, Route]] = {
            name: routes_of(service, codec) for name, service in services.items()
        }
        self._account = account
        self._clock = clock
        self._ids = ids
        self._barrier = barrier
        self._endpoint = endpoint

    async def __call__(self, service: str, operation: str, parameters: bytes, *, region: str, caller: Principal) -> Any:
        """The reply's structure; ``parameters`` are JSON with the members as the service's model spells them.

        Raises the ``AWSError`` that a client would get.
        """
        route = self._routes.get(service, {}).get(operation)
        if route is None:
            raise AWSError("UnsupportedOperationException", f"OpenECS does not serve {service}:{operation}.")
        request = self._codec.decode(route.operation, parameters)
        call = Call(
            service=service,
            operation=operation,
            request_id=self._ids.uuid(),
            account=self._account,
            region=region,
            principal=caller,
            now=self._clock.now(),
            ids=self._ids,
            endpoint=self._endpoint,
        )
        token = acting.set(Actor(caller.arn, operation))
        try:
            reply = route.handler(call, request)
            if route.waits:
                reply = await reply
        finally:
            acting.reset(token)
            await self._barrier()
        return reply
