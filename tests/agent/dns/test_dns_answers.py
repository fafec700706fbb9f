"""What queries get, by the documents of a host."""

from __future__ import annotations

import random

import dns.message
import dns.rcode
import pytest

from openecs.acs.host_documents import NameDocument, ServiceTarget, VpcDocument, ZoneDocument
from openecs.agent.dns import answers as answering
from openecs.agent.dns import packet
from openecs.agent.dns.answers import Answers, Forward
from openecs.agent.dns.zones import Zones

INSIDE, OTHER, OUTSIDE = "10.0.0.9", "10.1.0.9", "172.17.0.2"
VPCS = {
    "vpc-a": VpcDocument(cidrs=("10.0.0.0/16",), resolver="10.0.0.2"),
    "vpc-b": VpcDocument(cidrs=("10.1.0.0/16",), resolver="10.1.0.2", dns_support=False),
}


def zones(*documents: ZoneDocument | NameDocument) -> Zones:
    found: dict = {"vpc": VPCS, "zone": {}, "name": {}}
    for document in documents:
        kind = "zone" if isinstance(document, ZoneDocument) else "name"
        found[kind][f"{document.scope}/{document.name}"] = document
    return Zones(found)


def zone(name: str = "app.test", scope: str = "vpc-a", ttl: int = 15) -> ZoneDocument:
    return ZoneDocument(name=name, scope=scope, soa_ttl=ttl)


def name(name: str, *addresses: str, scope: str = "vpc-a", **more: object) -> NameDocument:
    return NameDocument(name=name, scope=scope, a=addresses, **more)


def answers_from(zones: Zones, choose: random.Random | None = None, *, elsewhere: str = "") -> Answers:
    """Answers to everybody, but not to the asker who is elsewhere."""
    return Answers(zones, lambda asker: asker != elsewhere, choose)


def ask(answers: Answers, name: str, kind: str = "A", *, asker: str = INSIDE, tcp: bool = False):
    wire = dns.message.make_query(name, kind).to_wire()
    reply = answers.tcp(wire, asker) if tcp else answers.udp(wire, asker)
    return dns.message.from_wire(reply) if isinstance(reply, bytes) else reply


def addresses(reply: dns.message.Message) -> list[str]:
    return [rdata.address for rrset in reply.answer for rdata in rrset if rdata.rdtype == packet.A]


def test_a_name_of_the_vpc_is_answered_to_its_interfaces_and_to_those_outside_of_all() -> None:
    answers = answers_from(zones(zone(), name("web.app.test", "10.0.0.5")))
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.5"]
    assert addresses(ask(answers, "WEB.App.Test", asker=OUTSIDE)) == ["10.0.0.5"]
    assert isinstance(ask(answers, "web.app.test", asker=OTHER), Forward)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("asked", ["web.app.test", "nope.app.test", "www.example.org", "ip-10-0-3-4.ec2.internal"])
@pytest.mark.parametrize("asker", [OUTSIDE, INSIDE])
def test_who_is_not_on_this_host_is_refused_everything(asked: str, asker: str, tcp: bool) -> None:
    answers = answers_from(zones(zone(), name("web.app.test", "10.0.0.5")), elsewhere=asker)
    # What somebody else has just been answered is kept, and is not for this one either.
    ask(answers, asked, asker="10.0.0.77", tcp=tcp)
    for _ in range(2):
        reply = ask(answers, asked, asker=asker, tcp=tcp)
        assert reply.rcode() == dns.rcode.REFUSED
        assert reply.answer == reply.authority == []
    assert answers.udp(b"rubbish", asker) is None


def test_who_is_on_this_host_is_looked_up_again_when_that_may_have_changed() -> None:
    here = {INSIDE}
    answers = Answers(zones(zone(), name("web.app.test", "10.0.0.5")), here.__contains__)
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.5"]
    here.clear()
    answers.forget_askers()
    assert ask(answers, "web.app.test").rcode() == dns.rcode.REFUSED
    here.add(INSIDE)
    # Who was refused is not remembered.
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.5"]


def test_an_interface_sees_its_own_vpc_where_several_have_one_range() -> None:
    """As the default VPCs of all regions do."""
    networks = {f"vpc-{x}": VpcDocument(cidrs=("10.0.0.0/16",), resolver="10.0.0.2") for x in "ab"}
    names = [name("web.app.test", f"10.0.0.{n}", scope=f"vpc-{x}") for n, x in ((1, "a"), (2, "b"))]
    zones_of = {x: zone(scope=f"vpc-{x}") for x in "ab"}
    found = Zones({"vpc": networks, "zone": zones_of, "name": {one.scope: one for one in names}})
    answers = answers_from(found)
    answers.replace(found, {"10.0.0.8": "vpc-a", "10.0.0.9": "vpc-b"})
    assert addresses(ask(answers, "web.app.test", asker="10.0.0.8")) == ["10.0.0.1"]
    assert addresses(ask(answers, "web.app.test", asker="10.0.0.9")) == ["10.0.0.2"]
    # The address is now an interface of the other one.
    answers.replace(found, {"10.0.0.9": "vpc-a"})
    assert addresses(ask(answers, "web.app.test", asker="10.0.0.9")) == ["10.0.0.1"]


def test_names_for_everybody_and_the_longest_zone() -> None:
    answers = answers_from(
        zones(
            zone("test", scope="*"),
            zone("app.test"),
            name("web.app.test", "10.0.0.5", scope="*"),
            name("web.app.test", "10.0.0.6"),
            name("only.app.test", "10.0.0.7", scope="*"),
        )
    )
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.6"]
    # In the VPC the longer zone speaks, and does not have that name.
    assert ask(answers, "only.app.test").rcode() == dns.rcode.NXDOMAIN
    assert addresses(ask(answers, "only.app.test", asker=OTHER)) == ["10.0.0.7"]


def test_no_such_name_and_no_such_record_are_told_apart() -> None:
    answers = answers_from(zones(zone(), name("a.b.app.test", "10.0.0.5")))
    missing, nothing, branch = (
        ask(answers, "nope.app.test"),
        ask(answers, "a.b.app.test", "AAAA"),
        ask(answers, "b.app.test"),
    )
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert nothing.rcode() == branch.rcode() == dns.rcode.NOERROR
    for reply in (missing, nothing, branch):
        assert not reply.answer
        assert (reply.authority[0].ttl, reply.authority[0][0].minimum) == (15, 15)
    apex = ask(answers, "app.test", "SOA")
    assert apex.answer[0][0].minimum == 15
    assert ask(answers, "app.test", "NS").answer
    assert ask(answers, "app.test").rcode() == dns.rcode.NOERROR


def test_up_to_eight_values_in_changing_order() -> None:
    many = [f"10.0.1.{n}" for n in range(1, 21)]
    answers = answers_from(zones(zone(), name("web.app.test", *many)), random.Random(1))
    replies = [addresses(ask(answers, "web.app.test")) for _ in range(40)]
    assert {len(reply) for reply in replies} == {8}
    assert {reply[0] for reply in replies} == set(many)


def test_weighted_names_give_one_value() -> None:
    answers = answers_from(zones(zone(), name("web.app.test", "10.0.1.1", "10.0.1.2", routing="weighted")))
    replies = [tuple(addresses(ask(answers, "web.app.test"))) for _ in range(10)]
    assert set(replies) == {("10.0.1.1",), ("10.0.1.2",)}


def test_srv_records_lead_to_names_with_addresses() -> None:
    target = ServiceTarget(port=32768, target="task1.web.app.test")
    answers = answers_from(
        zones(zone(), name("web.app.test", srv=(target,), ttl=9), name("task1.web.app.test", "192.168.1.4"))
    )
    reply = ask(answers, "web.app.test", "SRV")
    rdata = reply.answer[0][0]
    assert (reply.answer[0].ttl, rdata.priority, rdata.weight, rdata.port) == (9, 1, 1, 32768)
    assert rdata.target.to_text() == "task1.web.app.test."
    assert addresses(ask(answers, "task1.web.app.test")) == ["192.168.1.4"]


def test_a_record_that_cannot_be_written_spoils_its_own_name_only() -> None:
    target = ServiceTarget(port=1, target="x" * 64 + ".web.app.test")
    answers = answers_from(zones(zone(), name("web.app.test", srv=(target,)), name("other.app.test", "10.0.1.1")))
    for tcp in (False, True):
        assert ask(answers, "web.app.test", "SRV", tcp=tcp).rcode() == dns.rcode.SERVFAIL
    assert addresses(ask(answers, "other.app.test")) == ["10.0.1.1"]


def test_what_is_kept_for_the_next_asker_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "KEPT_BYTES", 4000)
    answers = answers_from(zones(zone(), *(name(f"n{number}.app.test", "10.0.1.1") for number in range(200))))
    for number in range(200):
        assert addresses(ask(answers, f"n{number}.app.test")) == ["10.0.1.1"]
        kept = sum(len(query) + sum(map(len, replies)) for (_, query), replies in answers._udp.items())
        assert kept <= 4000


def test_cnames_are_followed_among_our_names_and_asked_for_elsewhere() -> None:
    answers = answers_from(
        zones(
            zone(),
            name("in.app.test", cnames=("web.app.test",)),
            name("out.app.test", cnames=("www.example.org",)),
            name("loop.app.test", cnames=("loop.app.test",)),
            name("web.app.test", "10.0.0.5"),
        )
    )
    reply = ask(answers, "in.app.test")
    assert [rrset.rdtype for rrset in reply.answer] == [packet.CNAME, packet.A]
    assert addresses(reply) == ["10.0.0.5"]
    out = ask(answers, "out.app.test")
    assert isinstance(out, Forward)
    assert out.target == packet.name_bytes("www.example.org")
    assert len(out.chain) == 1
    assert ask(answers, "out.app.test", "CNAME").answer[0][0].target.to_text() == "www.example.org."
    assert ask(answers, "loop.app.test").rcode() == dns.rcode.SERVFAIL


def test_several_cnames_are_answered_one_at_a_time() -> None:
    answers = answers_from(
        zones(
            zone(),
            name("any.app.test", cnames=("a.app.test", "b.app.test"), routing="weighted"),
            name("a.app.test", "10.0.0.1"),
            name("b.app.test", "10.0.0.2"),
        )
    )
    replies = [addresses(ask(answers, "any.app.test")) for _ in range(10)]
    assert {tuple(reply) for reply in replies} == {("10.0.0.1",), ("10.0.0.2",)}


def test_names_that_lead_to_each_other_many_times_are_no_work() -> None:
    circle = tuple(f"n{n}.app.test" for n in range(50))
    answers = answers_from(zones(zone(), *(name(one, cnames=circle) for one in circle)))
    assert ask(answers, "n1.app.test").rcode() == dns.rcode.SERVFAIL


def test_aliases_are_answered_with_the_addresses_of_what_they_stand_for() -> None:
    answers = answers_from(
        zones(
            zone(),
            zone("elb.internal", scope="*"),
            name("web.app.test", aliases=("lb.elb.internal",)),
            name("lb.elb.internal", "10.0.9.1", scope="*"),
        )
    )
    assert addresses(ask(answers, "web.app.test")) == ["10.0.9.1"]


def test_changes_are_answered_at_once() -> None:
    answers = answers_from(zones(zone(), name("web.app.test", "10.0.0.5")))
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.5"]
    answers.replace(zones(zone(), name("web.app.test", "10.0.0.6")), {})
    assert addresses(ask(answers, "web.app.test")) == ["10.0.0.6"]
    answers.replace(zones(zone()), {})
    assert ask(answers, "web.app.test").rcode() == dns.rcode.NXDOMAIN
    answers.replace(zones(), {})
    assert isinstance(ask(answers, "web.app.test"), Forward)


def test_a_reply_from_memory_has_the_id_and_spelling_of_its_query() -> None:
    answers = answers_from(zones(zone(), name("web.app.test", "10.0.0.5")))
    for identifier in (1, 2, 65535):
        query = dns.message.make_query("wEb.app.test", "A", id=identifier)
        reply = dns.message.from_wire(answers.udp(query.to_wire(), INSIDE))
        assert query.is_response(reply)
        assert reply.question[0].name.to_text() == "wEb.app.test."


def test_more_than_fits_is_told_over_tcp() -> None:
    targets = tuple(ServiceTarget(port=n, target=f"{'x' * 60}.{'y' * 60}.{n}.app.test") for n in range(1, 9))
    answers = answers_from(zones(zone(), name("web.app.test", srv=targets)))
    assert ask(answers, "web.app.test", "SRV").flags & dns.flags.TC
    assert len(ask(answers, "web.app.test", "SRV", tcp=True).answer[0]) == 8


@pytest.mark.parametrize(
    ("asked", "asker", "address"),
    [
        ("ip-10-0-3-4.eu-west-1.compute.internal", INSIDE, "10.0.3.4"),
        ("ip-10-0-3-4.ec2.internal", OUTSIDE, "10.0.3.4"),
        ("data-192.168.3.4", INSIDE, "192.168.3.4"),
        ("data-192.168.3.example.org", INSIDE, None),
        ("ip-10-0-3-4.ec2.internal", OTHER, None),
        ("ip-192-168-3-4.ec2.internal", INSIDE, None),
        ("ip-10-0-3-400.ec2.internal", INSIDE, None),
    ],
)
def test_host_names_of_interfaces(asked: str, asker: str, address: str | None) -> None:
    reply = ask(answers_from(zones()), asked, asker=asker)
    assert isinstance(reply, Forward) if address is None else addresses(reply) == [address]


def test_addresses_of_vpcs_have_names() -> None:
    reply = ask(answers_from(zones()), "4.3.0.10.in-addr.arpa", "PTR")
    assert reply.answer[0][0].target.to_text() == "ip-10-0-3-4.ec2.internal."
    assert isinstance(ask(answers_from(zones()), "4.3.168.192.in-addr.arpa", "PTR"), Forward)


def test_resolvers_are_those_of_vpcs_with_dns_support() -> None:
    assert zones().resolvers == {"vpc-a": "10.0.0.2"}


def test_other_classes_are_refused() -> None:
    wire = dns.message.make_query("version.bind", "TXT", "CH").to_wire()
    assert dns.message.from_wire(answers_from(zones()).udp(wire, INSIDE)).rcode() == dns.rcode.REFUSED
