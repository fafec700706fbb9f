"""A load balancer that has just been made is active within a moment: CreateLoadBalancer waits for it.

AWS answers at once that it is provisioning, and its waiters ask again after 15 seconds.  Here the
answer is given when it is active, or after some seconds; and at once where no host could
make it active.
"""

from __future__ import annotations

import asyncio

from openecs.state.state import State
from openecs.state.store import Notice

#: Seconds.
PATIENCE = 2.0


async def until_active(state: State, arn: str, patience: float = PATIENCE) -> None:
    """Wait until the load balancer is no longer provisioning, but not for long."""
    if not _some_host_serves(state) or not _provisioning(state, arn):
        return
    over = asyncio.Event()

    def look(notice: Notice) -> None:
        if notice.key == arn and not _provisioning(state, arn):
            over.set()

    unsubscribe = state.store.subscribe("load_balancer", look)
    try:
        async with asyncio.timeout(patience):
            await over.wait()
    except TimeoutError:
        pass
    finally:
        unsubscribe()


def _provisioning(state: State, arn: str) -> bool:
    balancer = state.load_balancers.get(arn)
    return balancer is not None and balancer.state == "provisioning"


def _some_host_serves(state: State) -> bool:
    nodes = (state.nodes.get(host.node_id) for host in state.hosts if not host.balancer_problem)
    return any(node is not None and node.agent_connected for node in nodes)
