"""What can happen to a task (facts) and what can be done about it (actions).

Facts go into the machine, actions come out of it; the worker carries actions out and turns
their outcome into facts again.  Values only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.shapes import ecs


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Begin(_Value, frozen=True, kw_only=True):
    """The owner is ready: decide what is to be done."""


class Tick(_Value, frozen=True, kw_only=True):
    """A deadline has come."""


class StopRequested(_Value, frozen=True, kw_only=True):
    """The control plane wants the task stopped."""


class Resend(_Value, frozen=True, kw_only=True):
    """The control plane seems not to know the task's state: report it again."""


class Prepared(_Value, frozen=True, kw_only=True):
    """Volumes, limits and network are there."""

    network_mode: str | None = None


class PrepareFailed(_Value, frozen=True, kw_only=True):
    """They cannot be made; ``reason`` becomes the task's."""

    reason: str


class SandboxLost(_Value, frozen=True, kw_only=True):
    """The task's network is gone under its running containers."""

    reason: str


class Released(_Value, frozen=True, kw_only=True):
    """Limits and network are taken down."""


class Fetched(_Value, frozen=True, kw_only=True):
    """The image is local."""

    name: str
    image_id: str
    digest: str | None = None
    #: When a pull began and ended; ``None`` when none was needed.
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None


class Created(_Value, frozen=True, kw_only=True):
    """The container exists."""

    name: str
    container_id: str
    bindings: tuple[ecs.NetworkBinding, ...] = ()


class Started(_Value, frozen=True, kw_only=True):
    """The engine says that it started the container."""

    name: str
    at: float


class Failed(_Value, frozen=True, kw_only=True):
    """An action on a container failed for good; ``reason`` is ``<ErrorName>: <message>``."""

    name: str
    reason: str
    #: Set when the container is known to have run.
    exit_code: int | None = None
    #: When a pull that failed began and ended.
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None


class PortTaken(_Value, frozen=True, kw_only=True):
    """Somebody took a dynamic host port before the container could; the container is removed again."""

    name: str
    #: What becomes the container's when it is not tried again.
    reason: str


class Observed(_Value, frozen=True, kw_only=True):
    """What inspecting a container told."""

    name: str
    container_id: str
    status: Literal["created", "running", "exited"]
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    bindings: tuple[ecs.NetworkBinding, ...] | None = None


class Vanished(_Value, frozen=True, kw_only=True):
    """The engine does not know the container ``container_id``."""

    name: str
    container_id: str


class HealthChanged(_Value, frozen=True, kw_only=True):
    """A container's health check came to another result."""

    name: str
    health: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]
    at: float
    exit_code: int | None = None
    output: str = ""


ContainerFact = Fetched | Created | Started | Failed | PortTaken | Observed | Vanished


class Seen(_Value, frozen=True, kw_only=True):
    """All that was seen of a task after a restart of the agent, to be known before anything is decided:
    what was not looked at yet may run."""

    facts: tuple[ContainerFact | HealthChanged | SandboxLost, ...]


class Delivered(_Value, frozen=True, kw_only=True):
    """The control plane has taken (or refused for good) the oldest ``count`` reports."""

    count: int


class Cleaned(_Value, frozen=True, kw_only=True):
    """Containers and volumes of the stopped task are removed."""


#: What moves a container that has not stopped.
Fact = (
    Begin
    | Tick
    | StopRequested
    | Resend
    | Prepared
    | PrepareFailed
    | SandboxLost
    | Released
    | ContainerFact
    | HealthChanged
    | Seen
    | Delivered
    | Cleaned
)


class Prepare(_Value, frozen=True, kw_only=True):
    """Make volumes, limits and network."""


class Release(_Value, frozen=True, kw_only=True):
    """Take network and limits down; all containers have stopped."""


class Fetch(_Value, frozen=True, kw_only=True):
    """Make the container's image local."""

    name: str


class CancelFetch(_Value, frozen=True, kw_only=True):
    """Nobody needs the image any more."""

    name: str


class Create(_Value, frozen=True, kw_only=True):
    """Create the container."""

    name: str


class Start(_Value, frozen=True, kw_only=True):
    """Start the created (or, by its restart policy, ended) container."""

    name: str


class Stop(_Value, frozen=True, kw_only=True):
    """Send the stop signal, then SIGKILL after ``timeout`` seconds."""

    name: str
    timeout: int


class Cleanup(_Value, frozen=True, kw_only=True):
    """Remove containers and volumes of the stopped task."""


Action = Prepare | Release | Fetch | CancelFetch | Create | Start | Stop | Cleanup
