"""The packet filter that is made of documents: what it lets through, and how one becomes another."""

from __future__ import annotations

import ipaddress
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from network_table import Packet, Table, run

from openecs.acs.host_documents import (
    AclRule,
    GroupRule,
    InterfaceDocument,
    NetworkAclDocument,
    SecurityGroupDocument,
    SubnetDocument,
    VpcDocument,
)
from openecs.agent.network import ruleset
from openecs.agent.network.frame import Documents, Published, Surroundings
from openecs.agent.network.matches import protocol_match
from openecs.agent.network.rules import Compiler, table_name
from openecs.agent.network.wiring import host_end

NODES = ("a" * 32, "b" * 32)
CIDRS = ("0.0.0.0/0", "10.1.0.0/16", "10.1.1.0/24", "10.1.2.5/32", "10.2.0.0/16", "203.0.113.0/24")
GROUPS = ("sg-1", "sg-2", "sg-3")
SUBNETS = {"subnet-1": "10.1.1.0/24", "subnet-2": "10.1.2.0/24", "subnet-3": "10.2.1.0/24"}
OUTSIDE = "203.0.113.9"

protocols = st.sampled_from(["-1", "tcp", "udp", "icmp", "6", "17", "47", "58"])
ports = st.sampled_from([(-1, -1), (0, 65535), (80, 80), (79, 90), (8, -1), (8, 0), (443, 443)])


@st.composite
def group_rules(draw: st.DrawFn) -> GroupRule:
    group = draw(st.sampled_from([None, *GROUPS]))
    cidr = draw(st.sampled_from(CIDRS)) if group is None else None
    first, last = draw(ports)
    return GroupRule(protocol=draw(protocols), from_port=first, to_port=max(first, last), cidr=cidr, group=group)


@st.composite
def acl_rules(draw: st.DrawFn) -> tuple[AclRule, ...]:
    numbers = draw(st.lists(st.integers(1, 100), unique=True, max_size=3))
    rules = []
    for number in numbers:
        first, last = draw(ports)
        rules.append(
            AclRule(
                number=number,
                allow=draw(st.booleans()),
                protocol=draw(st.sampled_from(["-1", "6", "17", "1"])),
                cidr=draw(st.sampled_from(("0.0.0.0/0", *CIDRS[:4]))),
                from_port=first,
                to_port=max(first, last),
            )
        )
    return (
        (*rules, AclRule(number=200, allow=True, protocol="-1", cidr="0.0.0.0/0"))
        if draw(st.booleans())
        else tuple(rules)
    )


@st.composite
def worlds(draw: st.DrawFn) -> Documents:
    # Something must get past the groups for the rest to be seen.
    everything = st.just(GroupRule(protocol="-1", cidr="0.0.0.0/0"))
    rules = st.lists(group_rules() | everything, max_size=3).map(tuple)
    interfaces = {}
    for number in range(draw(st.integers(0, 5))):
        subnet = draw(st.sampled_from(sorted(SUBNETS)))
        address = str(ipaddress.IPv4Network(SUBNETS[subnet])[4 + number])
        interfaces[f"eni-{number}"] = InterfaceDocument(
            vpc_id="vpc-2" if subnet == "subnet-3" else "vpc-1",
            subnet_id=subnet,
            address=address,
            node_id=draw(st.sampled_from([*NODES, ""])),
            security_groups=tuple(draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True))),
            public_address=draw(st.sampled_from([None, f"10.1.200.{number}"])),
        )
    subnets = {
        key: SubnetDocument(
            vpc_id="vpc-2" if key == "subnet-3" else "vpc-1",
            cidr=cidr,
            gateway=f"{ipaddress.IPv4Network(cidr)[1]}/24",
            egress=draw(st.sampled_from(["internet", "nat", "none"])),
            blackholes=draw(st.sampled_from([(), ("203.0.113.0/24",), ("10.1.2.0/24",)])),
        )
        for key, cidr in SUBNETS.items()
        if draw(st.integers(0, 9))  # Now and then one has not come yet.
    }
    groups = {
        key: SecurityGroupDocument(vpc_id="vpc-1", ingress=draw(rules), egress=draw(rules))
        for key in GROUPS
        if draw(st.integers(0, 9))
    }
    split = draw(st.integers(0, 3))
    acls = {
        f"acl-{n}": NetworkAclDocument(
            vpc_id="vpc-1", subnets=names, ingress=draw(acl_rules()), egress=draw(acl_rules())
        )
        for n, names in enumerate((tuple(SUBNETS)[:split], tuple(SUBNETS)[split:]))
    }
    vpcs = {
        "vpc-1": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2"),
        "vpc-2": VpcDocument(cidrs=("10.2.0.0/16",), resolver="10.2.0.2"),
    }
    return Documents(vpcs, subnets, interfaces, groups, acls)


# -- what it should mean, said plainly --------------------------------------------------------


def within(address: str, *blocks: str) -> bool:
    return any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(block) for block in blocks)


def fits(protocol: str, first: int, last: int, packet: Packet) -> bool:
    number = {"-1": None, "tcp": 6, "udp": 17, "icmp": 1}.get(protocol, 0)
    if number is None:
        return True
    if packet.protocol != (number or int(protocol)):
        return False
    if packet.protocol in (6, 17):
        return (first, last) == (-1, -1) or first <= packet.port <= last
    if packet.protocol == 1:
        # The code of these packets is 0.
        return first == -1 or (first == packet.port and last in (-1, 0))
    return True


def granted(groups: tuple[str, ...], way: str, peer: str, packet: Packet, world: Documents) -> bool:
    """Whether any rule of any group of an interface lets a packet pass."""
    if not groups:
        # Only network load balancers and NAT gateways are in none: nothing is filtered for them.
        return True
    for key in groups:
        group = world.groups.get(key)
        for rule in getattr(group, way) if group is not None else ():
            members = {i.address for i in world.interfaces.values() if rule.group in i.security_groups}
            other = peer in members if rule.group is not None else within(peer, rule.cidr or "")
            if other and fits(rule.protocol, rule.from_port, rule.to_port, packet):
                return True
    return False


def listed(subnet: str, way: str, peer: str, packet: Packet, world: Documents) -> bool:
    """Whether the subnet's ACL lets a packet over its edge."""
    document = world.subnets.get(subnet)
    acl = next((a for a in world.acls.values() if subnet in a.subnets), None)
    if document is None or acl is None:
        return False
    if within(peer, document.cidr):
        return True
    for rule in sorted(getattr(acl, way), key=lambda r: r.number):
        if within(peer, rule.cidr) and fits(rule.protocol, rule.from_port, rule.to_port, packet):
            allow: bool = rule.allow
            return allow
    return False


def leads_out(interface: InterfaceDocument, daddr: str, world: Documents) -> bool:
    subnet = world.subnets.get(interface.subnet_id)
    if subnet is None or within(daddr, *subnet.blackholes):
        return False
    if within(daddr, *world.vpcs[subnet.vpc_id].cidrs):
        return True
    return not any(within(daddr, *vpc.cidrs) for vpc in world.vpcs.values()) and subnet.egress != "none"


def sent(interface: InterfaceDocument, packet: Packet, world: Documents) -> bool:
    return (
        listed(interface.subnet_id, "egress", packet.daddr, packet, world)
        and leads_out(interface, packet.daddr, world)
        and granted(interface.security_groups, "egress", packet.daddr, packet, world)
    )


def taken(interface: InterfaceDocument, packet: Packet, world: Documents) -> bool:
    return listed(interface.subnet_id, "ingress", packet.saddr, packet, world) and granted(
        interface.security_groups, "ingress", packet.saddr, packet, world
    )


# -- the tests ----------------------------------------------------------------------------------


def loaded(node: str, world: Documents) -> Table:
    table = Table()
    run(table, ruleset.load(table_name(node), Compiler(node).compile(world, Surroundings())))
    return table


@settings(max_examples=60, deadline=None)
@given(world=worlds())
def test_a_packet_passes_both_hosts_exactly_when_its_way_allows_it(world: Documents) -> None:
    tables = {node: loaded(node, world) for node in NODES}
    ends = [*(i for i in world.interfaces.values() if i.node_id), None]
    for source, target in permutations(ends, 2):
        for protocol, port in ((6, 80), (17, 443), (1, 8)):
            saddr = source.address if source else OUTSIDE
            daddr = target.address if target else OUTSIDE
            for node in NODES:
                packet = Packet("eth0", "eth0", saddr, daddr, protocol, port)
                _decided_as_meant(tables[node], node, source, target, packet, world)


def _decided_as_meant(
    table: Table,
    node: str,
    source: InterfaceDocument | None,
    target: InterfaceDocument | None,
    packet: Packet,
    world: Documents,
) -> None:
    wanted = known = True
    if source is not None and source.node_id == node:
        packet = packet._replace(iifname=host_end(source.address))
        wanted = sent(source, packet, world)
        # A known connection needs the lists only, which look at every packet.
        known = listed(source.subnet_id, "egress", packet.daddr, packet, world)
        assert table.decide("prerouting", packet)
        assert not table.decide("prerouting", packet._replace(saddr="10.1.1.250"))
    if target is not None and target.node_id == node:
        packet = packet._replace(oifname=host_end(target.address))
        wanted = wanted and taken(target, packet, world)
        known = known and listed(target.subnet_id, "ingress", packet.saddr, packet, world)
    assert table.decide("forward", packet) == wanted
    assert table.decide("forward", packet._replace(state="established")) == known


@settings(max_examples=60, deadline=None)
@given(before=worlds(), after=worlds(), published=st.booleans(), device=st.sampled_from(["", "openecs7"]))
def test_a_change_makes_the_same_of_the_table_as_a_load(
    before: Documents, after: Documents, published: bool, device: str
) -> None:
    around = Surroundings(
        hosts=frozenset({"192.168.1.1", "192.168.1.2"}),
        device=device,
        vni=7 if device else 0,
        published=frozenset({Published("10.1.1.4", "tcp", 8080, 80)}) if published else frozenset(),
    )
    compiler, name = Compiler(NODES[0]), table_name(NODES[0])
    first, second = compiler.compile(before, Surroundings()), compiler.compile(after, around)
    table = Table()
    for old, new in ((None, first), (first, second), (second, first), (first, ruleset.EMPTY), (ruleset.EMPTY, second)):
        run(table, ruleset.load(name, new) if old is None else ruleset.change(name, old, new))
        fresh = Table()
        run(fresh, ruleset.load(name, new))
        assert table.contents() == fresh.contents()
    assert ruleset.change(name, second, compiler.compile(after, around)) == ""


def test_the_address_of_an_interface_comes_from_where_the_interface_is() -> None:
    world = Documents(
        {"vpc-1": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2")},
        {},
        {"eni-1": InterfaceDocument(vpc_id="vpc-1", subnet_id="s", address="10.1.1.4", node_id=NODES[0])},
        {},
        {},
    )
    around = Surroundings(speakers=frozenset({"169.254.64.2"}), device="openecs7", vni=7)
    table = Table()
    run(table, ruleset.load("t", Compiler(NODES[0]).compile(world, around)))
    here, far, near = "10.1.1.4", "10.1.1.5", "10.1.1.6"
    # ``near`` is an interface of another agent of this host, the next one the host beside this one.
    table.ways = {
        here: host_end(here),
        near: host_end(near),
        far: "openecs7",
        "169.254.64.2": "openecs7",
        "10.1.1.77": "eth0",
    }
    for address, way in table.ways.items():
        for iifname in (*table.ways.values(), "eth0"):
            packet = Packet(iifname, "", address, "10.9.9.9", 17, 53)
            # The other agent's interfaces are its own filter's business.
            right = iifname == way or (way, iifname) == (host_end(here), host_end(near)) or way == "eth0"
            if iifname == host_end(here):
                right = address == here
            assert table.decide("prerouting", packet) == right, packet


def test_one_edit_touches_one_chain() -> None:
    def world(port: int) -> Documents:
        rule = GroupRule(protocol="tcp", from_port=port, to_port=port, cidr="0.0.0.0/0")
        return Documents(
            {"vpc-1": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2")},
            {"subnet-1": SubnetDocument(vpc_id="vpc-1", cidr="10.1.1.0/24", gateway="10.1.1.1/24")},
            {
                "eni-1": InterfaceDocument(
                    vpc_id="vpc-1",
                    subnet_id="subnet-1",
                    address="10.1.1.4",
                    node_id=NODES[0],
                    security_groups=("sg-1",),
                )
            },
            {"sg-1": SecurityGroupDocument(vpc_id="vpc-1", ingress=(rule,))},
            {},
        )

    compiler = Compiler(NODES[0])
    old, new = compiler.compile(world(80), Surroundings()), compiler.compile(world(81), Surroundings())
    assert ruleset.change("t", old, new) == "flush chain inet t in_sg-1\nadd rule inet t in_sg-1 tcp dport 81 accept\n"


def test_packets_meet_only_lists_that_may_drop_them() -> None:
    allow = AclRule(number=100, allow=True, protocol="-1", cidr="0.0.0.0/0")
    deny = AclRule(number=50, allow=False, protocol="6", cidr="203.0.113.0/24")
    narrow = AclRule(number=60, allow=True, protocol="6", cidr="0.0.0.0/0")

    def rules(*ingress: AclRule, egress: tuple[AclRule, ...] = (allow,)) -> ruleset.Ruleset:
        acl = NetworkAclDocument(vpc_id="vpc-1", subnets=("subnet-1",), ingress=ingress, egress=egress)
        eni = InterfaceDocument(vpc_id="vpc-1", subnet_id="subnet-1", address="10.1.1.4", node_id=NODES[0])
        world = Documents(
            {"vpc-1": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2")},
            {"subnet-1": SubnetDocument(vpc_id="vpc-1", cidr="10.1.1.0/24", gateway="10.1.1.1/24")},
            {"eni-1": eni},
            {},
            {"acl-1": acl},
        )
        return compiler.compile(world, Surroundings())

    def meets(found: ruleset.Ruleset) -> tuple[bool, bool]:
        texts = found.chains["forwarded"].rules
        seen = "iifname vmap @acl_out" in texts, "oifname vmap @acl_in" in texts
        assert seen == (bool(found.maps["acl_out"].elements), bool(found.maps["acl_in"].elements))
        return seen

    compiler = Compiler(NODES[0])
    assert meets(rules(allow)) == (False, False)
    assert meets(rules(narrow, allow)) == (False, False)
    assert meets(rules(deny, allow)) == (False, True)
    assert meets(rules(narrow)) == (False, True)
    assert meets(rules(allow, egress=())) == (True, False)
    assert meets(rules(allow)) == (False, False)


def test_vpcs_of_two_regions_in_one_range_are_apart_all_the_same() -> None:
    everything = GroupRule(protocol="-1", cidr="0.0.0.0/0")
    anything = (AclRule(number=1, allow=True, protocol="-1", cidr="0.0.0.0/0"),)
    both = ("east", "west")
    world = Documents(
        {f"vpc-{x}": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2") for x in both},
        {
            f"subnet-{x}": SubnetDocument(
                vpc_id=f"vpc-{x}", cidr="10.1.1.0/24", gateway="10.1.1.1/24", egress="internet"
            )
            for x in both
        },
        {
            f"eni-{x}{n}": InterfaceDocument(
                vpc_id=f"vpc-{x}",
                subnet_id=f"subnet-{x}",
                address=f"10.1.1.{10 * n + both.index(x)}",
                node_id=NODES[0],
                security_groups=(f"sg-{x}",),
                public_address="10.1.200.9" if (x, n) == ("west", 2) else None,
            )
            for x in both
            for n in (1, 2)
        },
        {
            f"sg-{x}": SecurityGroupDocument(vpc_id=f"vpc-{x}", ingress=(everything,), egress=(everything,))
            for x in both
        },
        {
            "acl": NetworkAclDocument(
                vpc_id="", subnets=tuple(f"subnet-{x}" for x in both), ingress=anything, egress=anything
            )
        },
    )
    table = loaded(NODES[0], world)

    def passes(source: str, target: str) -> bool:
        public = target == "10.1.200.9"
        out = "eth0" if public else host_end(target)
        return table.decide("forward", Packet(host_end(source), out, source, target, 6, 80))

    east, east_too, west = "10.1.1.10", "10.1.1.20", "10.1.1.11"
    assert passes(east, east_too)
    assert not passes(east, west)
    assert not passes(west, east)
    assert passes(east, "10.1.200.9")
    assert passes(east, "10.1.200.9")


def test_a_host_without_interfaces_has_no_table() -> None:
    nothing = Documents({}, {}, {}, {}, {})
    assert Compiler(NODES[0]).compile(nothing, Surroundings()) == ruleset.EMPTY
    assert ruleset.load("t", ruleset.EMPTY) == "add table inet t\ndelete table inet t\n"


def test_what_ipv4_has_no_packets_of_makes_no_rule() -> None:
    assert protocol_match("icmpv6", -1, -1) is None
    assert protocol_match("58", 128, 0) is None
    assert protocol_match("-1", -1, -1) == ""
    assert protocol_match("tcp", 0, 65535) == "meta l4proto 6 "
    assert protocol_match("17", 5, 6) == "udp dport 5-6 "
    assert protocol_match("icmp", 8, -1) == "icmp type 8 "
    assert protocol_match("1", 3, 4) == "icmp type 3 icmp code 4 "
    assert protocol_match("47", -1, -1) == "meta l4proto 47 "
