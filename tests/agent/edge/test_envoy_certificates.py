"""The real Envoy and certificates that come while it runs."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from self_signed import self_signed

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    CertificateDocument,
)
from openecs.agent.edge.envoy import Applied, Envoy
from openecs.agent.edge.envoy_render import Place, render
from openecs.shapes import elbv2

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/50dc6c495c0c9188"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/"


def certificate(*names: str) -> CertificateDocument:
    chain, key = self_signed(*names)
    return CertificateDocument(chain=chain.decode(), private_key=key.decode(), names=names)


def listener(port: int, *certificates: str) -> BalancerListener:
    config = elbv2.FixedResponseActionConfig(status_code="200")
    action = elbv2.Action(type="fixed-response", fixed_response_config=config)
    return BalancerListener(
        arn=f"{BALANCER.replace('loadbalancer', 'listener')}/{port}",
        port=port,
        protocol="HTTPS" if certificates else "HTTP",
        rules=(BalancerRule(arn="default", priority=0, actions=(action,)),),
        certificates=tuple(CERTIFICATE + name for name in certificates),
    )


class Served:
    """One Envoy that serves a load balancer with fixed answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.folder = Path(tempfile.mkdtemp(prefix="oecs-", dir="/tmp"))
        self.envoy = Envoy(Path(sys.executable).with_name("envoy"), self.folder, concurrency=1)

    def serve(self, certificates: dict[str, CertificateDocument], *listeners: BalancerListener) -> Applied:
        interface = BalancerInterface(
            interface_id="eni-1", subnet_id="subnet-1", availability_zone="a", address="127.0.0.1"
        )
        balancer = BalancerDocument(
            name="web",
            type="application",
            scheme="internal",
            vpc_id="vpc-1",
            dns_name="web.elb.openecs.internal",
            interfaces=(interface,),
            addresses=("127.0.0.1",),
            listeners=listeners,
        )
        documents = {CERTIFICATE + name: found for name, found in certificates.items()}
        rendered = render({BALANCER: balancer}, {}, documents, {}, {BALANCER: Place()}, xds=self.envoy.xds)
        assert rendered.problems == {}
        return self.loop.run_until_complete(self.envoy.apply(rendered.resources))


@pytest.fixture
def served() -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    made = Served(loop)
    yield made
    loop.run_until_complete(made.envoy.stop())
    loop.close()
    shutil.rmtree(made.folder)


def shown(port: int, name: str) -> str:
    """The certificate that a client is shown who asks for that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=name) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)


def test_a_running_envoy_takes_listeners_with_certificates_and_other_certificates(served: Served) -> None:
    plain, secure = _free_ports(2)
    assert served.serve({}, listener(plain)).ok
    pid = served.envoy.pid()
    both = {"one": certificate("one.example"), "two": certificate("two.example")}
    assert served.serve(both, listener(plain), listener(secure, "one", "two")).ok
    assert shown(secure, "one.example") == both["one"].chain
    assert shown(secure, "two.example") == both["two"].chain
    assert shown(secure, "nobody.example") == both["one"].chain
    # A certificate that is imported again comes without a new listener.
    both["two"] = certificate("two.example")
    assert served.serve(both, listener(plain), listener(secure, "one", "two")).ok
    assert shown(secure, "two.example") == both["two"].chain
    assert served.serve({}, listener(plain)).ok
    assert served.envoy.pid() == pid


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
