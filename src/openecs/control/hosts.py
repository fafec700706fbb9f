"""What hosts say of themselves, put into their records.  The only writer of the table of hosts."""

from __future__ import annotations

import ipaddress

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import Document, HostReport
from openecs.model.host import Host
from openecs.model.record import changed
from openecs.state.state import State

#: Where hosts have their tunnel addresses: link-local, apart from what AWS uses of it.
TUNNELS = ipaddress.IPv4Network("169.254.64.0/18")


class HostReports:
    """Takes the reports of the kind ``host``.  A host keeps its record for as long as its node is known."""

    def __init__(self, state: State) -> None:
        self._state = state

    def attach(self, board: HostBoard) -> None:
        """Hear the reports of all hosts."""
        board.take_reports("host", self.take)

    def take(self, node_id: str, _: str, report: Document | None) -> None:
        """What a host says it is able to do."""
        old = self._state.hosts.get(node_id)
        if not isinstance(report, HostReport):
            return  # An agent that says nothing of itself has not lost its abilities.
        if node_id not in self._state.nodes:
            return  # It was forgotten meanwhile; its agent registers anew and says it again.
        new = changed(
            old or Host(node_id=node_id),
            address=report.address,
            overlay=report.overlay,
            network_problem=report.network_problem,
            balancer_problem=report.balancer_problem,
            edge_address=report.edge_address,
            number=old.number if old is not None and old.number else self._free_number(),
        )
        if new is not old:
            with self._state.transaction() as tx:
                tx.put(new)

    def _free_number(self) -> int:
        taken = {host.number for host in self._state.hosts}
        return next(number for number in range(1, len(taken) + 2) if number not in taken)


def tunnel_address(host: Host) -> str:
    """The address with which a host itself speaks to interfaces of other hosts; empty when it has none."""
    if not 0 < host.number < TUNNELS.num_addresses - 1:
        return ""
    return str(TUNNELS.network_address + host.number)
