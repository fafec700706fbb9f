"""A host runs its own part of a load balancer, whatever else the document tells of."""

from __future__ import annotations

import pytest

from openecs.acs.host_documents import BalancerDocument, BalancerInterface
from openecs.agent.edge.runtime import own


@pytest.mark.parametrize(("node", "addresses"), [("n1", ["10.0.0.4"]), ("n2", ["10.0.1.4"]), ("n3", [])])
def test_only_the_interfaces_of_the_host_are_left(node: str, addresses: list[str]) -> None:
    interfaces = tuple(
        BalancerInterface(
            node_id=host, interface_id=f"eni-{host}", subnet_id="subnet-1", availability_zone="a", address=address
        )
        for host, address in (("n1", "10.0.0.4"), ("n2", "10.0.1.4"))
    )
    document = BalancerDocument(
        name="web",
        type="application",
        scheme="internal",
        vpc_id="vpc-1",
        dns_name="web",
        interfaces=interfaces,
        addresses=("10.0.0.4", "10.0.1.4"),
    )
    mine = own(document, node)
    assert [interface.address for interface in mine.interfaces] == addresses
    assert mine.addresses == document.addresses
