"""Every command of the Elastic Load Balancing example pages of the AWS CLI.

A command is run in a region in which what it names exists, and its reply is compared with the
documented one; or it is refused by a clear error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from example_cli import CommandLine
from example_differences import differences
from example_pages import Example, examples, pages
from self_signed import self_signed

ALL = examples("elbv2")
ACCOUNT = "123456789012"
CONFIGURATION = "InvalidConfigurationRequest"
#: Example → code and words.
REFUSED = {
    "elbv2/create-listener#4": ("ValidationError", "must be one of '[HTTPS, HTTP]'"),  # the page gives it to an ALB
    "elbv2/create-listener#6": ("LoadBalancerNotFound", "not found"),
    "elbv2/create-load-balancer#4": (CONFIGURATION, "Gateway load balancers are not supported"),
    "elbv2/create-rule#3": (CONFIGURATION, "'authenticate-oidc' are not supported"),
    "elbv2/create-target-group#2": (CONFIGURATION, "'lambda' is not supported"),
    "elbv2/create-target-group#4": (CONFIGURATION, "'alb' is not supported"),
    "elbv2/create-target-group#5": (CONFIGURATION, "'GENEVE' is not supported"),
    "elbv2/modify-listener#3": (CONFIGURATION, "IAM"),
    "elbv2/register-targets#4": ("ValidationError", "IPv4"),
    "elbv2/set-ip-address-type#1": (CONFIGURATION, "'dualstack' is not supported"),
}
#: Commands that cannot be run as they stand on the page.
BROKEN = {
    # A blank within a structure ends it; a comma makes a list of what must be a text.
    "elbv2/modify-listener#2",
    "elbv2/modify-target-group#1",
    # Its quotes are the shell's; a list in a list is shown as one list.
    "elbv2/describe-ssl-policies#2",
    "elbv2/describe-ssl-policies#3",
    # They wait until a host serves, which that of the fake engine never does.
    "elbv2/wait/load-balancer-available#1",
    "elbv2/wait/target-in-service#1",
}
#: Operations whose pages have an HTTPS listener without naming a certificate.
_SECURE = ("describe-listeners", "describe-listener-certificates")
INSTANCES = re.compile(r"i-[0-9a-f]{8,17}")


#: (service, region) → client.
Clients = Callable[[str, str], Any]


class Balancing:
    """The region of one example, with what the page names."""

    def __init__(self, clients: Clients, region: str, example: Example) -> None:
        self.region = region
        self.example = example
        self.elb = clients("elbv2", region)
        self.ec2 = clients("ec2", region)
        self._clients = clients
        self.text = json.dumps([example.words, list(example.files.values())])
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda s: str(s["AvailabilityZone"]))
        self.subnets = [subnet["SubnetId"] for subnet in subnets]
        self.vpc = subnets[0]["VpcId"]
        self._known: dict[str, str] = {}
        for instance in sorted(set(INSTANCES.findall(self.text))):
            self._instance(instance)

    def words(self, folder: Path) -> list[str]:
        """The command's words, for this region."""
        return [self._file(self._here(word), folder) for word in self.example.words]

    def _file(self, word: str, folder: Path) -> str:
        if not word.startswith("file://"):
            return word
        name = word.rpartition("/")[2]
        (folder / name).write_text(self._here(self.example.files[name]))
        return f"file://{folder / name}"

    def _here(self, text: str) -> str:
        for pattern, make in (
            (r"arn:aws:elasticloadbalancing:[^:]+:\d+:([a-z-]+)/([\w/-]+)", self._resource),
            (r"arn:aws:acm:[^:]+:\d+:certificate/[\w-]+", self._certificate),
            (r"(?<![\w-])subnet-\w+", self._subnet),
            (r"(?<![\w-])vpc-\w+", lambda _: self.vpc),
            (r"(?<![\w-])sg-\w+", self._group),
            (r"eipalloc-\w+", lambda _: str(self.ec2.allocate_address(Domain="vpc")["AllocationId"])),
            (r"\b10\.0\.1\.(\d+)", self._address),
        ):
            text = re.sub(pattern, self._once(make), text)
        return text

    def _once(self, make: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
        def known(match: re.Match[str]) -> str:
            if match[0] not in self._known:
                self._known[match[0]] = make(match)
            return self._known[match[0]]

        return known

    def _resource(self, match: re.Match[str]) -> str:
        kind, rest = match[1], match[2].split("/")
        if kind == "targetgroup":
            return self.target_group(rest[0])
        if rest[0] == "gwy":
            return match[0]
        if kind == "loadbalancer":
            return self.balancer(rest[0])
        listener = self.listener(rest[0])
        if kind == "listener":
            return listener
        rule = self.elb.create_rule(
            ListenerArn=listener,
            Priority=50,
            Conditions=[{"Field": "path-pattern", "Values": ["/there"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": self.target_group("my-old-targets")}],
        )
        return str(rule["Rules"][0]["RuleArn"])

    def balancer(self, kind: str = "app") -> str:
        """The page's load balancer; on pages of describe commands with what they show."""
        if f"balancer/{kind}" not in self._known:
            name = "my-load-balancer" if kind == "app" else "my-network-load-balancer"
            made = self.elb.create_load_balancer(
                Name=name,
                Type="application" if kind == "app" else "network",
                Subnets=self.subnets[:2],
                Tags=[{"Key": "project", "Value": "lima"}, {"Key": "department", "Value": "digital-media"}],
            )
            self._known[f"balancer/{kind}"] = made["LoadBalancers"][0]["LoadBalancerArn"]
        balancer = self._known[f"balancer/{kind}"]
        if self.example.operation in ("describe-listeners", "describe-target-groups"):
            self.listener(kind)
        return balancer

    def listener(self, kind: str = "app") -> str:
        """The page's listener, with two certificates where the page is about them."""
        if f"listener/{kind}" not in self._known:
            self._known[f"listener/{kind}"] = ""
            secure = "certificate" in self.text or self.example.operation in _SECURE
            request: dict[str, Any] = {"Protocol": "HTTPS" if secure else "HTTP", "Port": 443 if secure else 80}
            if secure:
                request["Certificates"] = [{"CertificateArn": self._certificate(None)}]
            action = {"Type": "forward", "TargetGroupArn": self.target_group("my-old-targets")}
            made = self.elb.create_listener(LoadBalancerArn=self.balancer(kind), DefaultActions=[action], **request)[
                "Listeners"
            ][0]["ListenerArn"]
            if secure:
                more = [{"CertificateArn": self._certificate(None)}]
                self.elb.add_listener_certificates(ListenerArn=made, Certificates=more)
            self._known[f"listener/{kind}"] = made
        return self._known[f"listener/{kind}"]

    def target_group(self, name: str) -> str:
        """A target group of that name, in use and with targets where the page shows such."""
        if f"group/{name}" in self._known:
            return self._known[f"group/{name}"]
        streams = "UDP" if '"UDP"' in self.text else "TCP"
        stream = "loadbalancer/net" in self.text or '--protocol", "TLS' in self.text or "tcp" in name
        instances = sorted(set(INSTANCES.findall(self.text)))
        on_a_page = self.example.operation == "describe-target-health" and not instances
        kind = "instance" if instances or on_a_page else "ip"
        arn = str(
            self.elb.create_target_group(
                Name=name,
                Protocol=streams if stream else "HTTPS" if "https" in name else "HTTP",
                Port=80,
                VpcId=self.vpc,
                TargetType=kind,
            )["TargetGroups"][0]["TargetGroupArn"]
        )
        self._known[f"group/{name}"] = arn
        if on_a_page:
            instances = ["i-ceddcd4d"]
            self._instance(instances[0])
        if self.example.operation in ("deregister-targets", "describe-target-health"):
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance} for instance in instances])
        if self.example.operation == "describe-target-groups" and name != "my-old-targets":
            action = {"Type": "forward", "TargetGroupArn": arn}
            self.elb.modify_listener(ListenerArn=self.listener(), DefaultActions=[action])
        return arn

    def _certificate(self, _: re.Match[str] | None) -> str:
        certificate, key = self_signed("www.example.com")
        arn = str(
            self._clients("acm", self.region).import_certificate(Certificate=certificate, PrivateKey=key)[
                "CertificateArn"
            ]
        )
        if self.example.operation == "remove-listener-certificates":
            more = [{"CertificateArn": arn}]
            if self._known.get("listener/app"):
                self.elb.add_listener_certificates(ListenerArn=self.listener(), Certificates=more)
        return arn

    def _subnet(self, match: re.Match[str]) -> str:
        taken = [name for name in self._known if name.startswith("subnet-")]
        return str(self.subnets[len(taken)])

    def _group(self, _: re.Match[str]) -> str:
        groups = self.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])
        return str(groups["SecurityGroups"][0]["GroupId"])

    def _address(self, match: re.Match[str]) -> str:
        cidr = self.ec2.describe_subnets(SubnetIds=self.subnets[:1])["Subnets"][0]["CidrBlock"]
        return f"{cidr.rpartition('.')[0]}.{match[1]}"

    def _instance(self, instance_id: str) -> None:
        """A machine that says that it is this EC2 instance."""
        ecs = self._clients("ecs", self.region)
        ecs.create_cluster(clusterName="machines")
        document = {"instanceId": instance_id, "region": self.region, "accountId": ACCOUNT}
        resources = [
            {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 1024},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": []},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ]
        ecs.register_container_instance(
            cluster="machines", instanceIdentityDocument=json.dumps(document), totalResources=resources
        )


@pytest.fixture(scope="module")
def elb_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with the pages' account."""
    installation = Installation(
        tmp_path_factory.mktemp("elb"), "--runtime", "fake", "--ephemeral", "--account-id", ACCOUNT, "--no-agent"
    )
    installation.up()
    yield installation
    installation.down()


@pytest.fixture(scope="module")
def clients(elb_pages: Installation) -> Clients:
    """Clients of one session: it reads each service's model once."""
    session = elb_pages.session()

    def client(service: str, region: str) -> Any:
        return session.client(
            service,
            region_name=region,
            endpoint_url=elb_pages.endpoint,
            aws_access_key_id=elb_pages.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=elb_pages.credentials["AWS_SECRET_ACCESS_KEY"],
        )

    return client


@pytest.mark.parametrize("example", [e for e in ALL if e.id not in BROKEN], ids=lambda example: example.id)
def test_an_example_is_answered_as_documented_or_refused(
    example: Example, elb_pages: Installation, clients: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    region = f"elb-page-{ALL.index(example) + 1}"
    world = Balancing(clients, region, example)
    if example.operation == "wait load-balancers-deleted":
        world.elb.delete_load_balancer(LoadBalancerArn=world.balancer())
    if example.operation == "delete-target-group":
        world.target_group("my-targets")
    outcome = CommandLine(elb_pages, region, monkeypatch, tmp_path).aws(*world.words(tmp_path))
    if example.id in REFUSED:
        code, words = REFUSED[example.id]
        assert f"({code})" in outcome.stderr, outcome
        assert words in outcome.stderr.partition("operation: ")[2], outcome
        return
    assert outcome.status == 0, f"{' '.join(example.words)}\n{outcome}"
    if example.output is not None:
        lacking = differences(example.output, outcome.data)
        assert not lacking, "\n".join(lacking)


def test_the_pages_are_all_read() -> None:
    """Fewer commands than the package had when this was written means that the reader is blind."""
    assert {example.page for example in ALL} == {page.removesuffix(".rst") for page in pages("elbv2")}
    assert len(ALL) >= 67
    assert set(REFUSED) | BROKEN <= {example.id for example in ALL}
