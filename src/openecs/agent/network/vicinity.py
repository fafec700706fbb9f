"""What is on this host and what is around it.

On the host are the host itself, the interfaces of tasks and load balancers, and containers in
bridged networks of its engines.  Everything else is a machine around it, whatever address it has:
what counts is where the host would send the reply.  So nobody has to list networks that come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from openecs.agent.network import kernel
from openecs.agent.network.underlay import ELSEWHERE
from openecs.agent.network.wiring import PREFIX

_log = structlog.get_logger("openecs.agent")
#: Seconds for which changes are gathered: an engine that makes a network does several things.
GATHER = 0.05


def is_here(address: str) -> bool:
    """Whether what is sent to an IPv4 address stays on this host.  Not what nobody knows the way to."""
    try:
        way = kernel.way_to(address)
        if way.local:
            return True
        if way.handed_on or not way.device:
            return False
        device = kernel.link(way.device)
        return device.name.startswith(PREFIX) or (device.kind == "bridge" and _is_for_containers(device))
    except (OSError, ValueError) as error:
        _log.debug("nobody knows where that is", address=address, error=str(error))
        return False


def container_bridges() -> frozenset[str]:
    """The names of this host's bridges that lead to containers and nowhere else."""
    try:
        return frozenset(bridge.name for bridge in kernel.links("bridge") if _is_for_containers(bridge))
    except OSError as error:
        _log.warning(
            "the host's bridges cannot be listed; containers in them count as other machines", error=str(error)
        )
        return frozenset()


@contextmanager
def watching(changed: Callable[[], None]) -> Iterator[None]:
    """Have ``changed`` called soon after addresses or routes of this host changed; it returns at once."""
    try:
        listener = kernel.changes()
    except OSError as error:
        _log.warning("the kernel does not tell of changed addresses", error=str(error))
        yield
        return
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.TimerHandle] = []

    def call() -> None:
        waiting.clear()
        changed()

    def read() -> None:
        kernel.drain(listener)
        if not waiting:
            waiting.append(loop.call_later(GATHER, call))

    loop.add_reader(listener.fileno(), read)
    try:
        yield
    finally:
        loop.remove_reader(listener.fileno())
        listener.close()
        for timer in waiting:
            timer.cancel()


def _is_for_containers(bridge: kernel.Link) -> bool:
    """Whether all that hangs on a bridge is this host's: it has no port to a network, and no default route."""
    try:
        if kernel.way_to(ELSEWHERE).device == bridge.number:
            return False
    except OSError:
        pass  # There is no default route.
    return all(port.kind == "veth" for port in kernel.links(master=bridge.number))
