"""Datagrams of network load balancers as rules of the kernel: who gets new flows, and which flows end."""

from __future__ import annotations

import re
import socket
import struct
from collections import Counter
from typing import Any

import pytest
from edge_kit import LISTENER, TG, balancer, group
from hypothesis import given
from hypothesis import strategies as st

from openecs.acs.host_documents import BalancerInterface, BalancerListener, BalancerRule, TargetEntry
from openecs.agent.edge.datagram_rules import NONE, DatagramRules, datagram_rules, group_mark
from openecs.agent.edge.datagrams import _ends
from openecs.agent.edge.flows import Flow, parse
from openecs.shapes import elbv2

OTHER = TG.replace("/web/", "/blue/")
CROSSING = {"load_balancing.cross_zone.enabled": "true"}
INTERFACES = tuple(
    BalancerInterface(interface_id=f"eni-{z}", subnet_id=f"subnet-{z}", availability_zone=z, address=f"10.0.{n}.9")
    for n, z in enumerate("ab")
)


def target(n: int, zone: str = "a") -> TargetEntry:
    return TargetEntry(id=f"10.0.9.{n}", port=5000 + n, address=f"10.0.9.{n}", availability_zone=zone)


def listener(*weights: tuple[str, int], protocol: str = "UDP") -> BalancerListener:
    tuples = tuple(elbv2.TargetGroupTuple(target_group_arn=arn, weight=weight) for arn, weight in weights)
    action = elbv2.Action(type="forward", forward_config=elbv2.ForwardActionConfig(target_groups=tuples))
    rule = BalancerRule(arn="default", priority=0, actions=(action,))
    return BalancerListener(arn=LISTENER, port=53, protocol=protocol, rules=(rule,))  # type: ignore[arg-type]


def made(
    targets: dict[str, list[TargetEntry]],
    *,
    weights: tuple[tuple[str, int], ...] = ((TG, 1),),
    routes: dict[str, str] | None = None,
    attributes: dict[str, str] = CROSSING,
    protocol: str = "UDP",
    **group_attributes: str,
) -> DatagramRules:
    document = balancer(
        type="network", interfaces=INTERFACES, attributes=attributes, listeners=(listener(*weights, protocol=protocol),)
    )
    own = {key.replace("__", "."): value for key, value in group_attributes.items()}
    groups = {arn: group(*found, protocol="UDP", attributes=own) for arn, found in targets.items()}
    ways: Any = {
        arn: {(t.id, t.port): (routes or {}).get(t.id, "routable") for t in found} for arn, found in targets.items()
    }
    return datagram_rules(document, groups, ways)


def shares(rules: DatagramRules, address: str) -> dict[str, float]:
    """Target → its share of the new flows to an address, read from the rules."""
    (choice,) = re.findall(rf"ip daddr {address} udp dport 53 (.*)", rules.script)
    chains = dict(re.findall(r"chain (to_\d+) \{\n +(.*)", rules.script))
    found: Counter[str] = Counter()
    for chain, share in _shares(choice).items():
        for place, part in _shares(chains[chain]).items():
            found[place] += share * part  # type: ignore[assignment]
    return dict(found)


def _shares(text: str) -> dict[str, float]:
    if text == "drop":
        return {}
    single = re.fullmatch(r"goto (\w+)", text)
    if single:
        return {single[1]: 1.0}
    found: Counter[str] = Counter()
    (total,) = re.findall(r"mod (\d+)", text)
    for first, last, value in re.findall(r"(\d+)(?:-(\d+))? : (?:goto )?([\w.]+(?: \. \d+)?)", text):
        found[value] += int(last or first) - int(first) + 1
    assert sum(found.values()) == int(total)
    return {value: number / int(total) for value, number in found.items()}


def test_without_a_listener_for_datagrams_there_are_no_rules() -> None:
    assert made({TG: [target(1)]}, protocol="TCP") == NONE


def test_targets_that_may_be_used_get_equal_shares() -> None:
    ways = {"10.0.9.3": "draining", "10.0.9.4": "out"}
    rules = made({TG: [target(n) for n in range(1, 5)]}, routes=ways)
    for interface in INTERFACES:
        assert shares(rules, interface.address) == {"10.0.9.1 . 5001": 0.5, "10.0.9.2 . 5002": 0.5}
    # Those that get nothing new keep their flows.
    assert len(rules.groups[group_mark(TG)].targets) == 4


def test_zones_keep_to_themselves_unless_they_have_no_target() -> None:
    rules = made({TG: [target(1, "a"), target(2, "b")]}, attributes={})
    assert [shares(rules, i.address) for i in INTERFACES] == [{"10.0.9.1 . 5001": 1.0}, {"10.0.9.2 . 5002": 1.0}]
    rules = made({TG: [target(1, "a"), target(2, "b")]}, attributes={}, routes={"10.0.9.2": "out"})
    assert [shares(rules, i.address) for i in INTERFACES] == [{"10.0.9.1 . 5001": 1.0}] * 2


@given(st.lists(st.integers(0, 999), min_size=2, max_size=2), st.integers(0, 3), st.integers(0, 3))
def test_weights_divide_new_flows_among_groups_that_have_targets(weights: list[int], first: int, second: int) -> None:
    targets = {TG: [target(n) for n in range(first)], OTHER: [target(n + 100) for n in range(second)]}
    rules = made(targets, weights=((TG, weights[0]), (OTHER, weights[1])))
    counts = [weight if targets[arn] else 0 for arn, weight in zip((TG, OTHER), weights, strict=True)]
    expected = {
        f"{t.address} . {t.port}": count / sum(counts) / len(found)
        for count, found in zip(counts, targets.values(), strict=True)
        for t in found
        if count
    }
    assert shares(rules, INTERFACES[0].address) == pytest.approx(expected)


def test_clients_stay_with_their_target_when_another_one_comes() -> None:
    few, more = ([target(n) for n in range(1, count)] for count in (4, 5))
    slots = []
    for targets in (few, more):
        script = made({TG: targets}, stickiness__enabled="true").script
        assert "jhash ip saddr" in script
        table: dict[int, str] = {}
        for first, last, value in re.findall(r"(\d+)(?:-(\d+))? : ([\d.]+ \. \d+)", script):
            table |= dict.fromkeys(range(int(first), int(last or first) + 1), value)
        slots.append(table)
    moved = {slot for slot, place in slots[0].items() if slots[1][slot] != place}
    assert {slots[1][slot] for slot in moved} == {"10.0.9.4 . 5004"}
    assert 0.1 < len(moved) / len(slots[0]) < 0.4


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({}, False),
        ({"target": ("10.0.9.7", 1)}, True),
        ({"listener": ("10.0.0.9", 54)}, True),
        # Another target group than those that the listener has now.
        ({"mark": 5, "target": ("10.0.9.7", 1)}, False),
    ],
)
def test_which_flows_end(changes: dict[str, Any], gone: bool) -> None:
    flow = Flow(group_mark(TG), ("10.0.0.9", 53), ("10.0.9.1", 5001), 100, b"")
    assert _ends(flow._replace(**changes), made({TG: [target(1)]})) is gone


def test_flows_may_outlive_the_registration_of_their_target() -> None:
    rules = made({TG: []}, deregistration_delay__connection_termination__enabled="false")
    assert not _ends(Flow(group_mark(TG), ("10.0.0.9", 53), ("10.0.9.1", 5001), 100, b""), rules)


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + b"\0" * (-len(content) % 4)


def ends(kind: int, protocol: int, *, source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    addresses = attribute(1, socket.inet_aton(source[0])) + attribute(2, socket.inet_aton(destination[0]))
    ports = attribute(1, bytes((protocol,)))
    ports += attribute(2, struct.pack(">H", source[1])) + attribute(3, struct.pack(">H", destination[1]))
    return attribute(kind | 0x8000, attribute(0x8001, addresses) + attribute(0x8002, ports))


def told(*, mark: int = 7, protocol: int = 17) -> bytes:
    """What the kernel says of a flow."""
    return (
        bytes((2, 0, 0, 0))
        + ends(1, protocol, source=("10.0.5.5", 4000), destination=("10.0.0.9", 53))
        + ends(2, protocol, source=("10.0.9.1", 5001), destination=("10.0.0.9", 4000))
        + attribute(7, struct.pack(">I", 119))
        + attribute(8, struct.pack(">I", mark))
        + attribute(12, struct.pack(">I", 99))
    )


def test_flows_are_read_from_the_kernels_words() -> None:
    flow = parse(told())
    assert flow is not None
    assert flow[:4] == (7, ("10.0.0.9", 53), ("10.0.9.1", 5001), 119)
    assert flow.name == ends(1, 17, source=("10.0.5.5", 4000), destination=("10.0.0.9", 53)) + attribute(
        12, struct.pack(">I", 99)
    )
    assert parse(told(mark=0)) is None
    assert parse(told(protocol=6)) is None
