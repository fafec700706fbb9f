"""The commands of the EC2 and ACM example pages of the AWS CLI whose operations are served.

A command is run in a region in which what it names exists, and its reply is compared with the
documented one; or it is refused by a clear error.  The pages of other operations are not run:
that each of those is refused by its name is what test_every_operation looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from example_cli import CommandLine
from example_differences import differences
from example_networks import ACCOUNT, Networks
from example_pages import Example, examples

from openecs.wire.generated import ec2

ALL = [e for e in examples("ec2") if "".join(w.title() for w in e.operation.split("-")) in ec2.SERVICE.operations]
REFUSED: dict[str, tuple[str, str]] = {}
PREPARE: dict[str, Callable[[Networks], object]] = {}


@pytest.fixture(scope="module")
def ec2_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with the pages' account."""
    installation = Installation(
        tmp_path_factory.mktemp("ec2"), "--runtime", "fake", "--ephemeral", "--account-id", ACCOUNT, "--no-agent"
    )
    installation.up()
    yield installation
    installation.down()


@pytest.fixture(scope="module")
def clients(ec2_pages: Installation) -> Callable[[str, str], Any]:
    """Clients of one session: it reads each service's model once."""
    session = ec2_pages.session()

    def client(service: str, region: str) -> Any:
        return session.client(
            service,
            region_name=region,
            endpoint_url=ec2_pages.endpoint,
            aws_access_key_id=ec2_pages.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ec2_pages.credentials["AWS_SECRET_ACCESS_KEY"],
        )

    return client


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.id)
def test_an_example_is_answered_as_documented_or_refused(
    example: Example,
    ec2_pages: Installation,
    clients: Callable[[str, str], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    region = f"ec2-page-{ALL.index(example) + 1}"
    world = Networks(clients, region, example)
    PREPARE.get(example.id, PREPARE.get(example.operation, lambda _: None))(world)
    words = world.words(tmp_path)
    outcome = CommandLine(ec2_pages, region, monkeypatch, tmp_path).aws(*words)
    if example.id in REFUSED:
        code, told = REFUSED[example.id]
        assert f"({code})" in outcome.stderr, outcome
        assert told in outcome.stderr.partition("operation: ")[2], outcome
        return
    assert outcome.status == 0, f"{' '.join(words)}\n{outcome}"
    if example.output is not None:
        lacking = differences(example.output, outcome.data)
        assert not lacking, "\n".join(lacking)
