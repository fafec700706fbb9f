"""Who reaches whom across two hosts: groups, ACLs, routes, public addresses, live changes.

Hosts and tasks are network namespaces with the agent's own data plane in them.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from network_documents import ALLOW_ALL, acl, group, interface, networks, peers, tcp
from network_site import Attempt, Site, Task, in_namespace, reachable, sh

from openecs.acs.host_documents import AclRule, GroupRule, SubnetDocument

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft"),
]
GROUPS = {
    "sg-web": group(tcp(80, cidr="192.168.77.254/32")),
    "sg-app": group(tcp(80, group="sg-web"), egress=(tcp(80, group="sg-db"),)),
    "sg-db": group(tcp(80, group="sg-app"), egress=()),
    "sg-open": group(GroupRule(protocol="-1", cidr="0.0.0.0/0")),
}
#: Name → address, host, groups.
TASKS = {
    "web": ("10.60.1.11", "node1", ("sg-web",)),
    "app1": ("10.60.1.12", "node1", ("sg-app",)),
    "app2": ("10.60.1.22", "node2", ("sg-app",)),
    "db": ("10.60.2.23", "node2", ("sg-db",)),
    "open1": ("10.60.2.14", "node1", ("sg-open",)),
    "inner": ("10.60.3.24", "node2", ("sg-open",)),
    "other": ("10.61.9.25", "node2", ("sg-open",)),
}
PUBLIC = "10.60.200.5"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    site = Site(tmp_path_factory.mktemp("site"), f"oecs-t{os.getpid()}-")
    try:
        hosts = {"node1": site.host(1), "node2": site.host(2)}
        outside = Task(site.outside(), "192.168.77.254", hosts["node1"])
        documents = networks() | peers(1, 2)
        documents |= {("security-group", key): document for key, document in GROUPS.items()}
        for name, (address, node, groups) in TASKS.items():
            public = PUBLIC if name == "web" else None
            documents["interface", f"eni-{name}"] = interface(address, node, *groups, public=public)
        site.tell(documents)
        tasks = {}
        for name, (address, node, _) in TASKS.items():
            gateway = f"{address.rsplit('.', 1)[0]}.1/24"
            tasks[name] = site.task(hosts[node], address, gateway)
        with tasks["web"].serving(80, 81, 8080), outside.serving(80):
            servers = [tasks[name].serving(80, 81) for name in tasks if name != "web"]
            for server in servers:
                server.__enter__()
            yield SimpleNamespace(site=site, tasks=tasks, hosts=hosts, outside=outside)
            for server in servers:
                server.__exit__(None, None, None)
    finally:
        site.close()


def matrix(world: SimpleNamespace, ports: tuple[int, ...] = (80,)) -> set[str]:
    """``client>server:port`` of every pair of tasks that reach each other."""
    tasks: dict[str, Task] = world.tasks
    pairs = [(a, b, port) for a in tasks for b in tasks if a != b for port in ports]
    names = {(tasks[a].name, tasks[b].address, port): f"{a}>{b}:{port}" for a, b, port in pairs}
    return {names[key] for key in reachable(names)}


EXPECTED = {
    "web>app1:80", "web>app2:80",  # by the group, on this host and on the other
    "web>open1:80", "web>inner:80",
    "app1>db:80", "app2>db:80",  # egress of sg-app leads to sg-db only
    "open1>inner:80", "inner>open1:80",
}  # fmt: skip


def test_groups_decide_who_reaches_whom_on_one_host_and_across_two(world: SimpleNamespace) -> None:
    assert matrix(world) == EXPECTED


def test_what_is_outside_is_reached_where_the_route_table_leads_out(world: SimpleNamespace) -> None:
    tasks = world.tasks
    tries = [(tasks[name].name, "192.168.77.254", 80) for name in ("web", "open1", "inner", "app1", "other")]
    assert reachable(tries) == {tries[0], tries[1], tries[4]}


def test_the_host_reaches_every_task_also_those_of_the_other_host(world: SimpleNamespace) -> None:
    tries = {(host.namespace, task.address, 81) for host in world.hosts.values() for task in world.tasks.values()}
    assert reachable(tries) == tries


def test_a_public_address_is_reached_from_both_hosts_and_filtered_from_outside(world: SimpleNamespace) -> None:
    sh(f"ip -n {world.outside.name} route replace {PUBLIC} via 192.168.77.1")
    hosts = {(host.namespace, PUBLIC, 8080) for host in world.hosts.values()}
    allowed = (world.outside.name, PUBLIC, 80)
    assert reachable({*hosts, allowed, (world.outside.name, PUBLIC, 8080)}) == {*hosts, allowed}


def test_published_ports_lead_to_the_task(world: SimpleNamespace) -> None:
    host, web = world.hosts["node1"], world.tasks["web"]
    sh(f"ip netns exec {host.namespace} sysctl -qw net.ipv4.conf.eni0a3c010b.route_localnet=1")
    host.do("publish", owner="task", ports=[(web.address, "tcp", 9000, 80), (web.address, "tcp", 9001, 81)])
    inside = {(host.namespace, address, port) for address in ("127.0.0.1", "192.168.77.1") for port in (9000, 9001)}
    # From outside the task's groups decide: port 80 is open to that machine, 81 is not.
    allowed = (world.outside.name, "192.168.77.1", 9000)
    assert reachable({*inside, allowed, (world.outside.name, "192.168.77.1", 9001)}) == {*inside, allowed}


def test_the_resolver_is_reached_by_everybody_and_other_ports_of_hosts_by_egress_rules(world: SimpleNamespace) -> None:
    host, tasks = world.hosts["node1"], world.tasks
    sh(f"ip -n {host.namespace} address add 10.60.0.2/32 dev lo")
    try:
        with Task(host.namespace, "", host).serving(53, 54):
            asked = {(tasks[name].name, "10.60.0.2", 53) for name in ("web", "app1", "open1")}
            refused = {(tasks["app1"].name, "10.60.0.2", 54), (tasks["app1"].name, "192.168.77.1", 54)}
            allowed = {(tasks["web"].name, "192.168.77.1", 54)}
            assert reachable(asked | refused | allowed) == asked | allowed
    finally:
        sh(f"ip -n {host.namespace} address delete 10.60.0.2/32 dev lo")


def test_a_namespace_with_two_interfaces_answers_from_each(world: SimpleNamespace) -> None:
    """As load balancers have them: one interface per subnet."""
    site, host, web = world.site, world.hosts["node1"], world.tasks["web"]
    addresses = {"eth0": "10.60.1.40", "eth1": "10.60.2.40"}
    site.tell({("interface", f"eni-{name}"): interface(at, "node1", "sg-open") for name, at in addresses.items()})
    space = site.namespace(f"{site.prefix}lb")
    for _ in range(2):  # It may be repeated.
        for name, address in addresses.items():
            gateway = f"{address.rsplit('.', 1)[0]}.1/24"
            host.do(
                "connect",
                namespace=f"/run/netns/{space}",
                address=address,
                gateway=gateway,
                alias="arn:lb",
                inside_name=name,
            )
    client = world.hosts["node2"].namespace
    with Task(space, "", host).serving(80):
        tries = {(asker, address, 80) for asker in (web.name, client) for address in addresses.values()}
        assert reachable(tries) == tries
    for address in addresses.values():
        host.do("disconnect", address=address, alias="arn:lb")
    site.tell({}, remove=[("interface", f"eni-{name}") for name in addresses])


def test_a_rule_that_goes_cuts_no_connection_and_lets_no_new_one_in(world: SimpleNamespace) -> None:
    site, web, app = world.site, world.tasks["web"], world.tasks["app2"]
    kept = Attempt(web.name, app.address, 80)
    assert kept.works(3)
    assert kept.talk() == b"hello"
    site.tell({("security-group", "sg-app"): group(tcp(81, group="sg-web"), egress=())})
    assert kept.talk(b"still here") == b"still here"
    assert reachable({(web.name, app.address, 80), (web.name, app.address, 81)}) == {(web.name, app.address, 81)}
    site.tell({("security-group", "sg-app"): GROUPS["sg-app"]})
    assert kept.talk(b"and again") == b"and again"
    kept.socket.close()
    assert reachable({(web.name, app.address, 80)})


def test_membership_counts_at_once_on_the_other_host(world: SimpleNamespace) -> None:
    site, open1, app = world.site, world.tasks["open1"], world.tasks["app2"]
    site.tell({("interface", "eni-open1"): interface(open1.address, "node1", "sg-open", "sg-web")})
    assert reachable({(open1.name, app.address, 80)})
    site.tell({("interface", "eni-open1"): interface(open1.address, "node1", "sg-open")})
    assert not reachable({(open1.name, app.address, 80)})


def test_network_acls_are_ordered_stateless_and_for_the_edges_of_subnets(world: SimpleNamespace) -> None:
    site, web, tasks = world.site, world.tasks["web"], world.tasks

    def tries(*names: str) -> set[tuple[str, str, int]]:
        return {(web.name, tasks[name].address, 80) for name in names}

    deny = AclRule(number=50, allow=False, protocol="6", cidr="10.60.1.11/32", from_port=80, to_port=80)
    lists = {
        ("network-acl", "acl-1"): acl("subnet-1", "subnet-3", "subnet-9"),
        ("network-acl", "acl-2"): acl("subnet-2", ingress=(ALLOW_ALL, deny)),
    }
    try:
        site.tell(lists)
        # open1 is in the subnet with the list; app1 and app2 are in web's own.
        assert reachable(tries("open1", "app1", "app2", "inner")) == tries("app1", "app2", "inner")
        # Answers need an entry too.
        no_answers = AclRule(number=10, allow=False, protocol="6", cidr="10.60.1.0/24", from_port=1024, to_port=65535)
        site.tell({("network-acl", "acl-2"): acl("subnet-2", egress=(no_answers, ALLOW_ALL))})
        assert reachable(tries("open1", "inner")) == tries("inner")
        site.tell({("network-acl", "acl-2"): acl("subnet-2")})
        assert reachable(tries("open1")) == tries("open1")
    finally:
        site.tell(networks(), remove=[("network-acl", "acl-2")])


def test_a_blackhole_of_the_route_table_drops(world: SimpleNamespace) -> None:
    site, web, db = world.site, world.tasks["web"], world.tasks["open1"]
    subnet = networks()["subnet", "subnet-1"]
    assert isinstance(subnet, SubnetDocument)
    try:
        hole = SubnetDocument(
            vpc_id="vpc-1",
            cidr=subnet.cidr,
            gateway=subnet.gateway,
            egress="internet",
            blackholes=("192.168.77.254/32",),
        )
        site.tell({("subnet", "subnet-1"): hole})
        assert reachable({(web.name, "192.168.77.254", 80), (web.name, db.address, 80)}) == {(web.name, db.address, 80)}
    finally:
        site.tell(networks())


def test_a_foreign_source_address_gets_nowhere(world: SimpleNamespace) -> None:
    web, liar, victim = world.tasks["web"], world.tasks["open1"], world.tasks["inner"]
    sh(f"ip -n {liar.name} address add {web.address}/32 dev lo")
    # The kernel's own check would do as well; this is about ours.
    for name in ("all", "eni0a3c020e"):
        sh(f"ip netns exec {world.hosts['node1'].namespace} sysctl -qw net.ipv4.conf.{name}.rp_filter=0")
    receiver = in_namespace(victim.name, lambda: _udp((victim.address, 5001)))
    try:
        for source, word in ((web.address, b"forged"), (liar.address, b"own")):
            with in_namespace(liar.name, lambda source=source: _udp((source, 0))) as sender:  # type: ignore[misc]
                sender.sendto(word, (victim.address, 5001))
        assert receiver.recvfrom(100)[0] == b"own"
    finally:
        receiver.close()
        sh(f"ip -n {liar.name} address delete {web.address}/32 dev lo")


def test_somebody_flushes_everything_and_it_comes_back(world: SimpleNamespace) -> None:
    host = world.hosts["node2"]
    sh(f"ip netns exec {host.namespace} nft flush ruleset")
    sh(f"ip -n {host.namespace} route flush proto 79")
    host.do("look")
    assert matrix(world) == EXPECTED


def test_traffic_flows_while_the_agent_is_dead_and_the_next_one_takes_over(world: SimpleNamespace) -> None:
    host, web, app = world.hosts["node2"], world.tasks["web"], world.tasks["app2"]
    kept = Attempt(web.name, app.address, 80)
    assert kept.works(3)
    host.kill()
    assert kept.talk() == b"hello"
    assert matrix(world) == EXPECTED
    host.start()
    host.do("look")
    assert kept.talk(b"after") == b"after"
    assert matrix(world) == EXPECTED
    # It still hears of changes, and of those that it missed.
    world.site.tell({("security-group", "sg-app"): group(tcp(81, group="sg-web"), egress=())})
    assert reachable({(web.name, app.address, 80), (web.name, app.address, 81)}) == {(web.name, app.address, 81)}
    world.site.tell({("security-group", "sg-app"): GROUPS["sg-app"]})
    kept.socket.close()


def test_a_partition_heals(world: SimpleNamespace) -> None:
    web, app, fabric = world.tasks["web"], world.tasks["app2"], world.site.fabric
    kept = Attempt(web.name, app.address, 80)
    assert kept.works(3)
    sh(f"ip -n {fabric} link set p2 down")
    assert not reachable({(web.name, app.address, 80)})
    sh(f"ip -n {fabric} link set p2 up")
    assert kept.talk(b"healed") == b"healed"
    kept.socket.close()


def test_plain_routes_do_the_same_as_the_tunnel(world: SimpleNamespace) -> None:
    try:
        world.site.tell(peers(1, 2, overlay="direct"))
        for host in world.hosts.values():
            assert "vxlan" not in sh(f"ip -n {host.namespace} -d link show")
        assert matrix(world) == EXPECTED
    finally:
        world.site.tell(peers(1, 2))
    assert matrix(world) == EXPECTED


def test_udp_and_ping_follow_the_rules_too(world: SimpleNamespace) -> None:
    web, open1 = world.tasks["web"], world.tasks["open1"]
    assert _pings(web, open1.address)
    assert _pings(web, "10.60.1.1")
    assert not _pings(web, world.tasks["db"].address)
    receiver = in_namespace(open1.name, lambda: _udp((open1.address, 5000)))
    sender = in_namespace(web.name, lambda: _udp(("0.0.0.0", 0)))
    sender.sendto(b"word", (open1.address, 5000))
    assert receiver.recvfrom(100) == (b"word", (web.address, sender.getsockname()[1]))
    receiver.close()
    sender.close()


def _pings(task: Task, address: str) -> bool:
    echo = struct.pack("!BBHHH", 8, 0, 0xF7FF - 77, 0, 77)
    with in_namespace(task.name, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as raw:
        raw.settimeout(0.3)
        raw.sendto(echo, (address, 0))
        try:
            return raw.recvfrom(100)[1][0] == address
        except TimeoutError:
            return False


def _udp(address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(3)
    made.bind(address)
    return made


def test_nothing_is_left_when_the_last_interface_and_the_installation_go(world: SimpleNamespace) -> None:
    """The last one: it takes everything down."""
    site, tasks = world.site, world.tasks
    site.tell({}, remove=[("interface", f"eni-{name}") for name in TASKS])
    for name, (address, node, _) in TASKS.items():
        world.hosts[node].do("disconnect", address=address, alias=f"arn:{address}")
        assert "eth0" not in sh(f"ip -n {tasks[name].name} link")
    for host in world.hosts.values():
        host.do("remove")
        assert sh(f"ip netns exec {host.namespace} nft list tables").strip() == ""
        assert "openecs" not in sh(f"ip -n {host.namespace} link")
        assert "proto 79" not in sh(f"ip -n {host.namespace} route")
        assert "10.6" not in sh(f"ip -n {host.namespace} address")


def test_documents_path_is_private(world: SimpleNamespace) -> None:
    assert Path(world.hosts["node1"].folder / "host.db").stat().st_mode & 0o077 == 0
