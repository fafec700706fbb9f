"""Connects the namespaces of load balancers, each in a task of its own: one that waits holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from openecs.acs.host_documents import BalancerDocument, BalancerInterface, SubnetDocument
from openecs.agent.edge.namespaces import Namespaces
from openecs.agent.network.driver import NetworkError

#: Seconds until a connection that failed is tried again: first, and at most.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 10.0
#: Seconds between looks at whether a namespace is still there.
LOOK_PAUSE = 2.0
_log = structlog.get_logger("openecs.agent")
#: What a namespace is made from; another wish means to connect again.
_Wish = tuple[tuple[BalancerInterface, ...], tuple[str, ...]]


class Connected(NamedTuple):
    """How far it is: ``addresses`` are those that are connected; ``problem`` says what keeps the others."""

    namespace: Path
    addresses: frozenset[str]
    problem: str


class Connections:
    """``changed`` is called whenever one has got further."""

    def __init__(self, namespaces: Namespaces, changed: Callable[[], None]) -> None:
        self._namespaces = namespaces
        self._changed = changed
        self._tasks: dict[str, tuple[_Wish, asyncio.Task[None]]] = {}
        self._state: dict[str, Connected] = {}
        #: Set when the proxy does not serve the load balancer any more.
        self._leaving: dict[str, asyncio.Event] = {}

    def want(
        self, balancers: Mapping[str, BalancerDocument], subnets: Mapping[str, SubnetDocument], tasks: asyncio.TaskGroup
    ) -> None:
        """Connect exactly these load balancers."""
        for arn in self._tasks.keys() - balancers.keys():
            self._tasks.pop(arn)[1].cancel()
            self._state.pop(arn, None)
        for arn, balancer in balancers.items():
            wish = _wish(balancer, subnets)
            known = self._tasks.get(arn)
            if known is not None and known[0] == wish:
                continue
            previous = known[1] if known is not None else None
            if previous is not None:
                previous.cancel()
            needed = {name: subnets[name] for name in {i.subnet_id for i in balancer.interfaces} if name in subnets}
            self._tasks[arn] = (wish, tasks.create_task(self._connect(arn, balancer, needed, previous)))

    def state(self, arn: str) -> Connected | None:
        """``None`` until it is there for the first time."""
        return self._state.get(arn)

    def confirm(self, arns: Collection[str]) -> None:
        """The proxy serves exactly these."""
        for arn, left in self._leaving.items():
            if arn not in arns:
                left.set()

    def running(self, arn: str) -> bool:
        """Whether something is being done with its namespace."""
        return arn in self._tasks

    async def _connect(
        self,
        arn: str,
        balancer: BalancerDocument,
        subnets: Mapping[str, SubnetDocument],
        previous: asyncio.Task[None] | None,
    ) -> None:
        if previous is not None:
            # Two that work on one namespace would undo each other's work.
            await asyncio.wait([previous])
        pause = _FIRST_PAUSE
        wanted = frozenset(interface.address for interface in balancer.interfaces)
        kept = await self._kept(arn) & wanted
        # What is there goes on being served while the rest is looked at.
        self._tell(arn, Connected(self._namespaces.path(arn), kept, ""))
        while True:
            try:
                path = await self._namespaces.ensure(arn, balancer.interfaces, subnets)
            except NetworkError as error:
                problem = f"The load balancer's addresses are not connected on this host: {error}"
                self._tell(arn, Connected(self._namespaces.path(arn), kept, problem))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
            else:
                kept, pause = wanted, _FIRST_PAUSE
                self._tell(arn, Connected(path, wanted, ""))
                await self._until_lost(arn)
                await self._leave(arn)
                kept = frozenset()

    async def _until_lost(self, arn: str) -> None:
        """Watch a namespace that somebody may remove by hand."""
        known = self._namespaces.identity(arn)
        while known is not None and self._namespaces.identity(arn) == known:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(LOOK_PAUSE)

    async def _leave(self, arn: str) -> None:
        """Have the proxy let go of it: it would go on listening in a namespace that has no name any more."""
        _log.warning("the namespace of a load balancer is gone and is made anew", load_balancer=arn)
        left = self._leaving[arn] = asyncio.Event()
        self._tell(arn, Connected(self._namespaces.path(arn), frozenset(), "Its network is being made anew."))
        try:
            await left.wait()
        finally:
            self._leaving.pop(arn, None)

    async def _kept(self, arn: str) -> frozenset[str]:
        before = self._state.get(arn)
        if before is not None:
            return before.addresses
        try:
            return await self._namespaces.present(arn)
        except NetworkError:
            # Connecting will meet it again, and says so.
            return frozenset()

    def _tell(self, arn: str, state: Connected) -> None:
        if self._state.get(arn) != state:
            self._state[arn] = state
            self._changed()


def served(balancer: BalancerDocument, connected: Connected) -> BalancerDocument:
    """The document with those interfaces only that are connected."""
    interfaces = tuple(one for one in balancer.interfaces if one.address in connected.addresses)
    return msgspec.structs.replace(balancer, interfaces=interfaces)


def _wish(balancer: BalancerDocument, subnets: Mapping[str, SubnetDocument]) -> _Wish:
    gateways = (subnets.get(interface.subnet_id) for interface in balancer.interfaces)
    return balancer.interfaces, tuple(subnet.gateway if subnet else "" for subnet in gateways)
