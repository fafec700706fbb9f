"""What a handler gets to know about the call that it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from openecs.ids import Ids
from openecs.model.access_key import PrincipalKind
from openecs.model.history import Actor


@dataclass(frozen=True, slots=True)
class Principal:
    """Who signed the call."""

    arn: str
    kind: PrincipalKind
    access_key_id: str
    #: The task for which the temporary key was made.
    task_arn: str | None = None


#: Who acts in this context; ``None`` in the control plane's own loops.  Only history reads it:
#: decisions get the ``Call``.
acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated API call."""

    service: str
    operation: str
    request_id: str
    account: str
    #: The region of the signature's scope; all state is separate by region.
    region: str
    principal: Principal
    #: Seconds since the epoch when the call arrived; the handler's only notion of now.
    now: float
    ids: Ids
    #: The URL at which the client finds us again (``PublicUrl``): ``http://127.0.0.1:4566``, no trailing slash.
    endpoint: str


#: A handler decides synchronously, so that a call is one step for everybody else; those
#: that must wait for something outside (a file, a socket) are coroutine functions.
Handler = Callable[[Call, Any], Any] | Callable[[Call, Any], Awaitable[Any]]

#: Operation name → handler, as each resource module of ``openecs.api`` gives it.
Handlers = Mapping[str, Handler]
