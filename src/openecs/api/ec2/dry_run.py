"""``DryRun``: the caller may do it, and nothing was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openecs.errors import AWSError
from openecs.wire.call import Call, Handlers


def respected(handlers: Handlers) -> Handlers:
    """The handlers, each refusing requests with ``DryRun`` as EC2 does when all is well.

    Whether the caller may call the operation was decided before; whether the request makes
    sense is not looked at, as on AWS.
    """
    return {name: _respecting(handler) for name, handler in handlers.items()}


def _respecting(handler: Callable[[Call, Any], Any]) -> Callable[[Call, Any], Any]:
    def answer(call: Call, request: Any) -> Any:
        if getattr(request, "dry_run", None):
            raise AWSError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
        return handler(call, request)

    return answer
