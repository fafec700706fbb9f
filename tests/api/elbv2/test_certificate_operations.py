"""Certificates: what is imported is checked, kept sealed and given to those that need it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from certificate_kit import Authority, key_pem, self_signed
from elb_kit import World
from test_balancer_hosts import told

NAME = "www.example.com"


@pytest.fixture
def world() -> World:
    return World()


def given(certificate: bytes, key: bytes, chain: bytes | None = None) -> dict[str, Any]:
    return {"Certificate": certificate, "PrivateKey": key} | ({"CertificateChain": chain} if chain else {})


def imported(world: World, name: str = NAME, **members: Any) -> str:
    return str(world("ImportCertificate", **given(*self_signed(world.clock.now(), name)), **members)["CertificateArn"])


def test_a_certificate_from_its_import_to_its_end(world: World) -> None:
    authority = Authority(world.clock.now())
    certificate, key = authority.issue(NAME, "api.example.com", "*.example.com")
    request = given(certificate, key, authority.pem)
    arn = world("ImportCertificate", Tags=[{"Key": "a", "Value": "b"}], **request)["CertificateArn"]
    shown = world("DescribeCertificate", CertificateArn=arn)["Certificate"]
    assert (shown["DomainName"], shown["Status"], shown["Type"]) == (NAME, "ISSUED", "IMPORTED")
    assert shown["SubjectAlternativeNames"] == [NAME, "api.example.com", "*.example.com"]
    assert (shown["KeyAlgorithm"], shown["InUseBy"]) == ("RSA_2048", [])
    assert shown["Issuer"] == "Test authority"
    kept = world("GetCertificate", CertificateArn=arn)
    assert (kept["Certificate"].encode(), kept["CertificateChain"].encode()) == (certificate, authority.pem)
    assert world("ListTagsForCertificate", CertificateArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    world("RemoveTagsFromCertificate", CertificateArn=arn, Tags=[{"Key": "a", "Value": "c"}])
    world("AddTagsToCertificate", CertificateArn=arn, Tags=[{"Key": "d", "Value": "e"}])
    assert len(world("ListTagsForCertificate", CertificateArn=arn)["Tags"]) == 2
    (summary,) = world("ListCertificates")["CertificateSummaryList"]
    assert (summary["CertificateArn"], summary["InUse"]) == (arn, False)
    world("DeleteCertificate", CertificateArn=arn)
    world.refused("ResourceNotFoundException", arn, "GetCertificate", CertificateArn=arn)
    assert len(world.state.tags) == 0


def test_the_private_key_is_kept_sealed_and_only_its_hosts_get_it(world: World) -> None:
    world.host("n1", "a")
    world.host("n2", "b")
    arn = imported(world)
    record = world.state.certificates.get(arn)
    assert record is not None
    assert b"PRIVATE" not in base64.b64decode(record.sealed_private_key)
    balancer, group = world.balancer("net", Subnets=world.subnets[:1], Type="network"), world.group(Protocol="TLS")
    world.listener(balancer, group, Protocol="TLS", Certificates=[{"CertificateArn": arn}])
    world.balancers.reconcile(balancer)
    document = told(world, "n1")["certificate", arn]
    assert document.private_key.startswith("-----BEGIN PRIVATE KEY-----")
    assert document.names == (NAME,)
    assert "PRIVATE" not in repr(document)
    assert ("certificate", arn) not in told(world, "n2")
    world.refused("ResourceInUseException", "in use", "DeleteCertificate", CertificateArn=arn)
    # A certificate that is replaced reaches the hosts under the same ARN.
    assert world("ImportCertificate", CertificateArn=arn, **given(*self_signed(world.clock.now(), "new.example.com")))
    assert told(world, "n1")["certificate", arn].names == ("new.example.com",)


def test_certificates_of_listeners(world: World) -> None:
    first, second = imported(world), imported(world, "other.example.com")
    balancer, group = world.balancer(), world.group()
    listener = world.listener(balancer, group, 443, Protocol="HTTPS", Certificates=[{"CertificateArn": first}])
    (shown,) = world("DescribeListeners", ListenerArns=[listener])["Listeners"]
    assert (shown["SslPolicy"], shown["MutualAuthentication"]) == ("ELBSecurityPolicy-2016-08", {"Mode": "off"})
    world("AddListenerCertificates", ListenerArn=listener, Certificates=[{"CertificateArn": second}])

    def certificates() -> list[tuple[str, bool]]:
        found = world("DescribeListenerCertificates", ListenerArn=listener)["Certificates"]
        return [(each["CertificateArn"], each["IsDefault"]) for each in found]

    assert certificates() == [(first, True), (second, False)]
    assert world("DescribeCertificate", CertificateArn=second)["Certificate"]["InUseBy"] == [balancer]
    remove = {"ListenerArn": listener, "Certificates": [{"CertificateArn": first}]}
    world.refused("OperationNotPermitted", "default certificate", "RemoveListenerCertificates", **remove)
    # The list is apart from the default certificate, which it may have, too.
    world("AddListenerCertificates", **remove)
    assert certificates() == [(first, True), (second, False), (first, False)]
    world("RemoveListenerCertificates", **remove)
    world("ModifyListener", ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    assert certificates() == [(second, True), (second, False)]
    world.host()
    world.balancers.reconcile(balancer)
    assert told(world, "n1")["balancer", balancer].listeners[0].certificates == (second,)
    # Plain HTTP has none.
    strict = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    (shown,) = world("ModifyListener", ListenerArn=listener, SslPolicy=strict)["Listeners"]
    assert shown["SslPolicy"] == strict
    world.refused("SSLPolicyNotFound", "'x'", "ModifyListener", ListenerArn=listener, SslPolicy="x")
    (shown,) = world("ModifyListener", ListenerArn=listener, Protocol="HTTP", Port=80)["Listeners"]
    assert "Certificates" not in shown
    assert "SslPolicy" not in shown
    world("DeleteCertificate", CertificateArn=second)


def test_policies_are_shown_as_they_are(world: World) -> None:
    (policy,) = world("DescribeSSLPolicies", Names=["ELBSecurityPolicy-TLS13-1-3-2021-06"])["SslPolicies"]
    assert policy["SslProtocols"] == ["TLSv1.3"]
    assert [cipher["Priority"] for cipher in policy["Ciphers"]] == [1, 2, 3]
    assert len(world("DescribeSSLPolicies")["SslPolicies"]) > 10
    world.refused("SSLPolicyNotFound", "'nothing'", "DescribeSSLPolicies", Names=["nothing"])


def test_imports_that_cannot_be_used(world: World) -> None:
    now = world.clock.now()
    certificate, key = self_signed(now, NAME)
    _, other_key = self_signed(now, NAME)
    authority, stranger = Authority(now), Authority(now)
    issued, issued_key = authority.issue(NAME)
    for words, request in (
        ("valid PEM-encoded certificate.", given(b"x", key)),
        ("more than one", given(certificate * 2, key)),
        ("valid PEM-encoded private key", given(certificate, b"x")),
        ("passphrase", given(certificate, key_pem(password=b"secret"))),
        ("bits", given(certificate, key_pem(bits=1024))),
        ("5120", given(certificate, b"x" * 5121)),
        ("does not match", given(certificate, other_key)),
        ("self signed", given(issued, issued_key)),
        ("with the certificate chain", given(issued, issued_key, stranger.pem)),
        ("chain is not", given(issued, issued_key, b"x")),
        ("expired", given(*self_signed(now - 10**8, NAME))),
        ("not valid yet", given(*self_signed(now + 10**8, NAME))),
    ):
        world.refused("ValidationException", words, "ImportCertificate", **request)
    world.refused(
        "InvalidTagException", "aws:", "ImportCertificate", Tags=[{"Key": "aws:a"}], **given(certificate, key)
    )
    world.refused("InvalidArnException", "arn", "DescribeCertificate", CertificateArn="arn:aws:acm:r:1:certificate/x")


def test_certificates_come_in_pages(world: World) -> None:
    made = [imported(world, f"n{number}.example.com") for number in range(3)]
    first = world("ListCertificates", MaxItems=2)
    second = world("ListCertificates", MaxItems=2, NextToken=first["NextToken"])
    pages = [*first["CertificateSummaryList"], *second["CertificateSummaryList"]]
    assert sorted(each["CertificateArn"] for each in pages) == sorted(made)
    assert world("ListCertificates", Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"] == []
    assert world("ListCertificates", CertificateStatuses=["EXPIRED"])["CertificateSummaryList"] == []
    world.refused("InvalidArgsException", "together", "ListCertificates", SortBy="CREATED_AT")
