"""What became of one invocation of a target."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """The target took it; ``text`` says what that came to (task ARNs, a stream, an HTTP status)."""

    text: str
    #: ARNs of tasks that it started.
    task_arns: tuple[str, ...] = ()


class InvocationError(Exception):
    """The target did not take it.

    ``code`` is an upper-case name as in dead-letter entries, ``retry`` whether another attempt may do.
    """

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry

    def __repr__(self) -> str:
        return f"InvocationError({self.code!r}, {self.message!r}, retry={self.retry})"
