"""What a host says of datagrams besides everything else that it serves."""

from __future__ import annotations

from pathlib import Path

from edge_kit import LB, LISTENER, TG, FakeProxy, balancer, group, target

from openecs.acs.host_documents import BalancerListener, BalancerRule
from openecs.agent.edge.datagrams import Datagrams, WithDatagrams
from openecs.agent.edge.proxy import Part, Served, Serving
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.shapes import elbv2


def serving(namespace: Path, protocol: str = "UDP") -> Serving:
    actions = (elbv2.Action(type="forward", target_group_arn=TG),)
    listener = BalancerListener(
        arn=LISTENER,
        port=53,
        protocol=protocol,  # type: ignore[arg-type]
        rules=(BalancerRule(arn="default", priority=0, actions=actions),),
    )
    document = balancer(type="network", listeners=(listener,))
    return Serving(
        parts=(Part(LB, document, namespace, {}),),
        groups={TG: group(target(80), protocol=protocol)},
        certificates={},
        routes={TG: {("127.0.0.1", 80): "routable"}},
        edge_address="127.0.0.1",
    )


async def test_a_load_balancer_whose_datagrams_are_not_served_is_not_ready(tmp_path: Path) -> None:
    inner, sockets = FakeProxy(), NamespaceSockets()
    proxy = WithDatagrams(inner, Datagrams(sockets))
    inner.problems[LB] = Served(ready=True, problem="An attribute is not kept.")
    (served,) = (await proxy.serve(serving(tmp_path / "gone"))).values()
    assert not served.ready
    assert served.problem.startswith("An attribute is not kept. UDP is not served: ")
    # Everything else is served all the same.
    assert inner.serving is not None
    sockets.close()


async def test_connections_in_flight_are_told_beside_flows(tmp_path: Path) -> None:
    class Known(Datagrams):
        async def in_flight(self) -> dict[tuple[str, str], int]:
            return {(TG, "10.0.0.1:53"): 2, (TG, "10.0.0.2:53"): 1}

    inner, sockets = FakeProxy(), NamespaceSockets()
    inner.active = {(TG, "10.0.0.1:53"): 3}
    found = await WithDatagrams(inner, Known(sockets)).in_flight()
    assert found == {(TG, "10.0.0.1:53"): 5, (TG, "10.0.0.2:53"): 1}
    sockets.close()
