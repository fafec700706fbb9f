"""What a reset forgets of machines that are away, and what it keeps of those that are here."""

from __future__ import annotations

from openecs.clock import ManualClock
from openecs.control.region_networks import RegionNetworks
from openecs.ids import SeededIds
from openecs.model.host import Host
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.server.first_clusters import FirstClusters
from openecs.server.reset import Reset
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

ACCOUNT, REGION = "123456789012", "eu-west-1"


class Idle:
    """Logs, metrics and launches of an installation in which nothing runs."""

    async def wipe(self) -> None: ...

    def pause(self, *, until: float) -> None: ...

    def resume(self) -> None: ...

    def forget(self) -> None: ...


async def test_a_forgotten_machine_is_no_host_any_more() -> None:
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    clock, nothing = ManualClock(), Idle()
    with state.transaction() as tx:
        for name, connected in (("here", True), ("away", False)):
            tx.put(Node(id=name, capacity=Resources(cpu=1, memory=1), agent_connected=connected))
            tx.put(Host(node_id=name, address="192.0.2.1"))
    reset = Reset(
        state,
        logs=nothing,
        log_queries=nothing,
        metrics=nothing,
        launcher=nothing,
        clusters=FirstClusters(state, (), account=ACCOUNT, region=REGION, ids=SeededIds()),
        networks=RegionNetworks(state, ACCOUNT, "10.208.0.0/16"),
        home=REGION,
        clock=clock,
    )
    await reset.run()
    assert [node.id for node in state.nodes] == ["here"]
    assert [host.node_id for host in state.hosts] == ["here"]
