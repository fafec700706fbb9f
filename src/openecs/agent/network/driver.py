"""What the task engine asks of the node's network code for awsvpc tasks.

The other network modes are the container engine's own business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from openecs.acs.task_payload import TaskPayload

if TYPE_CHECKING:
    from openecs.agent.network.interfaces import Interfaces


#: Asked with a task's address in its VPC, or ``None`` for tasks in none: the name servers that the
#: task is to use.  Empty: those of the host.
NameServers = Callable[[str | None], Awaitable[tuple[str, ...]]]


async def host_name_servers(address: str | None) -> tuple[str, ...]:  # noqa: ARG001
    """Where no resolver of ours runs: nothing but the host's own."""
    return ()


class NetworkError(Exception):
    """The task's network cannot be made; the text becomes part of a stop reason."""


class AddressInUseError(NetworkError):
    """The task's address belongs to something else on this host; another task may get another."""


class TaskConnector(Protocol):
    """Serves Service Connect to tasks in networks of their own."""

    async def attach(self, task: TaskPayload, pid: int) -> None:
        """Serve the task whose network the process is in.  Raises ``NetworkError``."""
        ...

    async def detach(self, task_arn: str) -> None:
        """Serve it no more; no error when it is not served."""
        ...

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        """Go on with the tasks that run already; called once at the agent's start."""
        ...


class NetworkDriver(Protocol):
    """Gives awsvpc tasks their own network namespace and address."""

    @property
    def refusal(self) -> str | None:
        """Why this node cannot run awsvpc tasks, ``None`` when it can."""
        ...

    @property
    def interfaces(self) -> Interfaces | None:
        """What connects namespaces other than tasks'; ``None`` where there are no real networks."""
        ...

    async def attach(self, task: TaskPayload, labels: Mapping[str, str]) -> str:
        """Make the network; the Docker network mode that its containers join.

        Idempotent: after a crash it completes or finds what was begun.  Raises ``NetworkError``.
        """
        ...

    async def detach(self, task: TaskPayload) -> None:
        """Take it down; no error when it is gone."""
        ...

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        """Take up what tasks that run already have from this driver; called once at the agent's start."""
        ...

    async def tidy(self) -> None:
        """Take down what no task of this host uses, whoever set it up; never raises."""
        ...


class FakeNetwork:
    """For the fake engine: there is nothing to connect, containers get no network."""

    refusal: str | None = None
    interfaces: Interfaces | None = None

    async def attach(self, task: TaskPayload, labels: Mapping[str, str]) -> str:  # noqa: ARG002
        return "none"

    async def detach(self, task: TaskPayload) -> None:
        pass

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        pass

    async def tidy(self) -> None:
        pass


class NoNetwork:
    """For nodes that cannot do awsvpc."""

    interfaces: Interfaces | None = None

    def __init__(self, refusal: str) -> None:
        self.refusal: str | None = refusal

    async def attach(self, task: TaskPayload, labels: Mapping[str, str]) -> str:  # noqa: ARG002
        raise NetworkError(self.refusal or "awsvpc is not available on this node")

    async def detach(self, task: TaskPayload) -> None:
        pass

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        pass

    async def tidy(self) -> None:
        pass
