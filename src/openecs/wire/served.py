"""What is served: one service's model with the handlers of its operations, and its routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Protocol

from openecs.errors import AWSError
from openecs.shapes.base import Shape
from openecs.wire.auth_errors import AuthDialect
from openecs.wire.call import Handlers
from openecs.wire.operation import Operation, ServiceModel


class ErrorEncoder(Protocol):
    """The part of a codec that can word a refusal."""

    @property
    def dialect(self) -> AuthDialect: ...

    @property
    def content_type(self) -> bytes: ...

    @property
    def reply_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of every reply of the protocol, besides those that all have."""
        ...

    @property
    def error_header(self) -> bool:
        """Whether the code of an error stands in a header too."""
        ...

    def encode_error(self, error: AWSError, request_id: str) -> bytes: ...


class Codec(ErrorEncoder, Protocol):
    """One protocol: bodies to typed requests and typed answers to bodies."""

    def decode(self, operation: Operation, body: bytes) -> Shape | None: ...

    def encode(self, operation: Operation, output: Shape | None, request_id: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ServedService:
    """A service's model and a handler for each operation that is built.

    Raises ``ValueError`` for a handler of an operation that the model does not have: a
    misspelt name must stop the start, not wait for the first caller.
    """

    model: ServiceModel
    handlers: Handlers

    def __post_init__(self) -> None:
        strangers = sorted(set(self.handlers) - set(self.model.operations))
        if strangers:
            raise ValueError(f"{self.model.name}: no such operation in the model: {', '.join(strangers)}")


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that the way of one operation's calls needs, put together at the start."""

    model: ServiceModel
    operation: Operation
    #: A plain function or a coroutine function, as ``waits`` says.
    handler: Callable[..., Any]
    waits: bool
    codec: Codec


def routes_of(service: ServedService, codec: Codec) -> dict[str, Route]:
    """Operation name → route, for every operation with a handler."""
    return {
        name: Route(service.model, service.model.operations[name], handler, _waits(handler), codec)
        for name, handler in service.handlers.items()
    }


def _waits(handler: Callable[..., Any]) -> bool:
    return iscoroutinefunction(handler) or iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
