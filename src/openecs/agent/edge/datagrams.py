"""Carries the datagrams of network load balancers: rules in their namespaces, and the flows that follow from them.

Level-triggered like the proxy for everything else, whose words it completes.  Rules and flows are
the kernel's, so they go on whatever becomes of this process or of Envoy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from openecs.agent.edge.datagram_rules import NONE, DatagramRules, address_mark, datagram_rules
from openecs.agent.edge.envoy_listeners import UDP_IDLE_SECONDS
from openecs.agent.edge.flows import Flow, flows, forget
from openecs.agent.edge.proxy import Part, Proxy, ProxyError, Served, Serving
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.agent.network.commands import run, sysctl
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.interfaces import inside

_log = structlog.get_logger("openecs.agent")
#: Seconds without a datagram after which nothing is in flight in a flow, while its target drains.
QUIET_SECONDS = 5
#: Seconds between looks at flows, of which there may be many.
LOOK_SECONDS = 1.0


class _RoutingRule(msgspec.Struct):
    """One line of ``ip -json rule show``."""

    src: str = "all"
    table: str = ""
    fwmark: str = ""


class Datagrams:
    """Those of this host's load balancers."""

    def __init__(self, sockets: NamespaceSockets) -> None:
        self._sockets = sockets
        #: Load balancer → the namespace that has its rules, and which rules.
        self._there: dict[str, tuple[Path, tuple[int, int], DatagramRules]] = {}
        #: What was in flight when it was looked at last, and until when that is new enough.
        self._last: dict[tuple[str, str], int] = {}
        self._good_until = 0.0
        #: How often rules were asked for.
        self._changes = 0

    async def serve(self, serving: Serving) -> dict[str, str]:
        """Make the rules of all parts; load balancer ARN → why its datagrams are not served."""
        # Who drains from now on may have got a flow since the last look.
        self._good_until, self._changes = 0.0, self._changes + 1
        problems: dict[str, str] = {}
        parts = [part for part in serving.parts if part.document.type == "network"]
        for arn in self._there.keys() - {part.arn for part in parts}:
            # Their namespace is gone, or will be.
            del self._there[arn]
        for part in parts:
            try:
                await self._serve(part, serving)
            except (NetworkError, OSError, ValueError, TypeError, LookupError) as error:
                self._there.pop(part.arn, None)
                problems[part.arn] = f"UDP is not served: {error}"
                _log.warning("udp_not_served", load_balancer=part.arn, reason=str(error))
        return problems

    async def _serve(self, part: Part, serving: Serving) -> None:
        rules = datagram_rules(part.document, serving.groups, serving.routes)
        status = part.namespace.stat()
        wanted = (part.namespace, (status.st_dev, status.st_ino), rules)
        if self._there.get(part.arn) == wanted:
            return
        # An earlier agent may have left some where none are wanted now.
        await run(inside(part.namespace, "nft", "-f", "-"), rules.script)
        if rules != NONE:
            await self._sockets.call(part.namespace, _prepare)
            await _choose_routes(part.namespace, rules.addresses)
            await self._sockets.call(part.namespace, lambda: _end(rules))
        self._there[part.arn] = wanted

    async def in_flight(self) -> dict[tuple[str, str], int]:
        """Target group ARN and ``address:port`` → flows with a datagram a moment ago.  Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._good_until:
            return self._last
        changes, found = self._changes, dict[tuple[str, str], int]()
        for namespace, _, rules in tuple(self._there.values()):
            if not rules.groups:
                continue
            for flow in await self._sockets.call(namespace, flows):
                group = rules.groups.get(flow.mark)
                if group is not None and flow.left > UDP_IDLE_SECONDS - QUIET_SECONDS:
                    key = group.arn, f"{flow.target[0]}:{flow.target[1]}"
                    found[key] = found.get(key, 0) + 1
        if changes == self._changes:
            self._last, self._good_until = found, loop.time() + LOOK_SECONDS
        return found


class WithDatagrams:
    """A ``Proxy`` that leaves datagrams to ``Datagrams`` and everything else to another."""

    def __init__(self, inner: Proxy, datagrams: Datagrams) -> None:
        self._inner = inner
        self._datagrams = datagrams

    async def adopt(self) -> bool:
        return await self._inner.adopt()

    async def serve(self, serving: Serving) -> Mapping[str, Served]:
        problems = await self._datagrams.serve(serving)
        results = dict(await self._inner.serve(serving))
        for arn, problem in problems.items():
            text = " ".join(each for each in (results[arn].problem, problem) if each)
            results[arn] = Served(ready=False, problem=text)
        return results

    async def in_flight(self) -> Mapping[tuple[str, str], int]:
        found = dict(await self._inner.in_flight())
        try:
            datagrams = await self._datagrams.in_flight()
        except OSError as error:
            raise ProxyError(f"The flows of datagrams cannot be read: {error}") from None
        for key, number in datagrams.items():
            found[key] = found.get(key, 0) + number
        return found

    async def supervise(self) -> None:
        await self._inner.supervise()

    async def stop(self) -> None:
        await self._inner.stop()


def _prepare() -> None:
    """Settings of the kernel for the namespace in which this is called."""
    sysctl("net/ipv4/ip_forward", "1")
    # Where sources are looked up strictly, by the mark: what came by an interface also leaves by it.
    sysctl("net/ipv4/conf/all/src_valid_mark", "1")
    for interface in Path("/proc/sys/net/ipv4/conf").iterdir():
        # Nobody is to be told of a shorter way past the load balancer.
        sysctl(f"net/ipv4/conf/{interface.name}/send_redirects", "0")
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        sysctl(f"net/netfilter/{name}", str(UDP_IDLE_SECONDS))


def _end(rules: DatagramRules) -> None:
    """Forget the flows of listeners that are gone, and to targets that are where that ends them."""
    ended = [flow for flow in flows() if _ends(flow, rules)]
    if ended:
        forget(ended)


def _ends(flow: Flow, rules: DatagramRules) -> bool:
    if flow.listener not in rules.listens:
        return True
    group = rules.groups.get(flow.mark)
    # Where the listener has another target group now, flows of the old one go on, as on AWS.
    return group is not None and group.ends and flow.target not in group.targets


async def _choose_routes(namespace: Path, addresses: tuple[str, ...]) -> None:
    """Have packets leave by the interface of the address whose mark they have."""
    lines = await run(inside(namespace, "ip", "-json", "-4", "rule", "show"), "")
    known = msgspec.json.decode(lines or "[]", type=list[_RoutingRule], strict=False)
    tables = {rule.src: rule.table for rule in known}
    marked = {rule.fwmark: rule.table for rule in known if rule.fwmark}
    script = ""
    for address in addresses:
        mark, table = f"{address_mark(address):#x}", tables.get(address)
        # The first interface needs none: the default route is its own.
        if table is not None and marked.get(mark) != table:
            script += f"rule add fwmark {mark} lookup {table}\n"
    if script:
        await run(inside(namespace, "ip", "-4", "-batch", "-"), script)
