"""Where interfaces of load balancers live, and the state that makes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.load_balancer import BalancerHost
from openecs.planning.balancer_places import BalancerPlace, BalancerSeat, place, why_nowhere
from openecs.planning.balancer_state import balancer_state


def seats(**nodes: str | None) -> list[BalancerSeat]:
    """``a="n1"``: the interface in zone a lives on n1."""
    return [BalancerSeat(f"eni-{zone}", zone, node) for zone, node in nodes.items()]


def test_interfaces_go_to_their_zones_and_the_rest_is_spread() -> None:
    hosts = [BalancerPlace("n1", "a"), BalancerPlace("n2", "b"), BalancerPlace("n3", "a")]
    assert place(seats(a=None, b=None, c=None), hosts) == {"eni-a": "n1", "eni-b": "n2", "eni-c": "n3"}
    assert place(seats(a=None, b=None), [BalancerPlace("n1", "z")]) == {"eni-a": "n1", "eni-b": "n1"}
    busy = [BalancerPlace("n1", "a", others=3), BalancerPlace("n3", "a")]
    assert place(seats(a=None), busy) == {"eni-a": "n3"}


@pytest.mark.parametrize(
    "change", [{"problem": "no"}, {"present": False, "connected": False}], ids=["unable", "away for long"]
)
def test_interfaces_leave_a_host_that_cannot_have_them(change: dict[str, Any]) -> None:
    hosts = [BalancerPlace("n1", "a", **change), BalancerPlace("n2", "b")]
    assert place(seats(a="n1", b="n2"), hosts) == {"eni-a": "n2"}
    # With nowhere to go they wait where they are.
    assert place(seats(a="n1"), hosts[:1]) == {}


def test_interfaces_stay_while_their_host_may_come_back_but_nothing_new_goes_there() -> None:
    away = [BalancerPlace("n1", "a", connected=False)]
    assert place(seats(a="n1"), away) == {}
    assert place(seats(a=None), away) == {}
    assert place(seats(a="gone"), []) == {"eni-a": None}


HOSTS = st.lists(
    st.builds(
        BalancerPlace,
        node_id=st.sampled_from(["n1", "n2", "n3"]),
        availability_zone=st.sampled_from("abc"),
        problem=st.sampled_from(["", "no"]),
        present=st.booleans(),
        connected=st.booleans(),
    ),
    unique_by=lambda host: host.node_id,
)
SEATS = st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "n1", "n2", "n3"]))


@given(SEATS, HOSTS)
def test_a_plan_is_a_fixed_point_and_places_all_that_can_be(
    nodes: dict[str, str | None], hosts: list[BalancerPlace]
) -> None:
    moves = place(seats(**nodes), hosts)
    after = {zone: moves.get(f"eni-{zone}", node) for zone, node in nodes.items()}
    able = {host.node_id for host in hosts if host.connected and not host.problem}
    assert {node for node in moves.values() if node is not None} <= able
    if able:
        assert None not in after.values()
        again = place(seats(**after), [host._replace(present=host.present or host.connected) for host in hosts])
        assert again == {}


def said(node: str, *, ready: bool = False, problem: str = "") -> dict[str, BalancerHost]:
    return {node: BalancerHost(load_balancer_arn="lb", node_id=node, ready=ready, problem=problem)}


@pytest.mark.parametrize(
    ("old", "nodes", "hosts", "absent", "code", "reason"),
    [
        ("provisioning", [None], {}, {}, "provisioning", "nowhere"),
        ("active", [None], {}, {}, "active_impaired", "nowhere"),
        ("provisioning", ["n1"], {}, {}, "provisioning", ""),
        ("provisioning", ["n1"], said("n1"), {}, "provisioning", ""),
        ("provisioning", ["n1"], said("n1", ready=True), {}, "active", ""),
        ("provisioning", ["n1", "n2"], said("n1", ready=True), {}, "provisioning", ""),
        ("active", ["n1", "n2"], said("n1", ready=True), {}, "active", ""),
        ("provisioning", ["n1"], said("n1", problem="no port"), {}, "provisioning", "n1: no port"),
        ("provisioning", ["n1"], said("n1", ready=True, problem="a rule"), {}, "active_impaired", "n1: a rule"),
        ("active", ["n1"], said("n1", ready=True), {"n1": "away"}, "active_impaired", "away"),
        ("active", ["n1"], said("n1"), {}, "active_impaired", "Not all of its addresses are served yet."),
        ("active_impaired", ["n2"], {}, {}, "active_impaired", "Not all of its addresses are served yet."),
        ("active_impaired", ["n2"], said("n2", ready=True), {}, "active", ""),
        ("provisioning", [], {}, {}, "provisioning", ""),
    ],
)
def test_the_state_says_what_the_hosts_say(
    old: Any, nodes: list[str | None], hosts: dict[str, BalancerHost], absent: dict[str, str], code: str, reason: str
) -> None:
    assert balancer_state(old, nodes, hosts, absent, "nowhere") == (code, reason)


def test_the_reason_names_what_keeps_hosts_from_it() -> None:
    assert why_nowhere([]) == "No host has joined this installation."
    problems = [BalancerPlace("n1", "a", "it is not root"), BalancerPlace("n2", "a", "it is not root")]
    assert why_nowhere(problems) == "No host of this installation can run load balancers: it is not root."
    assert "connected" in why_nowhere([BalancerPlace("n1", "a", connected=False)])
