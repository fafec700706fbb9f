"""Every command of the ACM example pages of the AWS CLI: answered as documented, or refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from cryptography.hazmat.primitives.asymmetric import rsa
from example_cli import CommandLine
from example_differences import differences
from example_pages import Example, examples, pages
from self_signed import self_signed

from openecs.wire.generated import acm

ALL = examples("acm")
#: Commands with files that the pages do not show, in another shell's words.
BROKEN = {"acm/export-certificate#1", "acm/export-certificate#2"}
LACKING: dict[str, tuple[str, ...]] = {
    # The page's certificate was requested from Amazon and is validated by mail; here all are imported.
    "acm/describe-certificate#1": (".DomainValidationOptions", ".IssuedAt", ".CreatedAt"),
}
#: A token that another run of the command gave.
REFUSED = {"acm/list-certificates#3": "next token is not valid"}


@pytest.mark.parametrize("example", [e for e in ALL if e.id not in BROKEN], ids=lambda example: example.id)
def test_an_example_of_certificates(
    example: Example, fake: Installation, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client: Any = fake.client("acm", name)
    certificate, key = self_signed("www.example.com", key=rsa.generate_private_key(65537, 2048))
    tags = [{"Key": "Admin", "Value": "Alice"}, {"Key": "Purpose", "Value": "Website"}]
    arn = client.import_certificate(Certificate=certificate, PrivateKey=key, Tags=tags)["CertificateArn"]
    for file, content in (("Certificate", certificate), ("CertificateChain", certificate), ("PrivateKey", key)):
        (tmp_path / f"{file}.pem").write_bytes(content)
    text = [re.sub(r"arn:aws:acm:\S*", arn, word) for word in example.words]
    words = [word.replace("file://", f"file://{tmp_path}/") for word in text]
    outcome = CommandLine(fake, name, monkeypatch, tmp_path).aws(*words)
    operation = "".join(word.title() for word in example.operation.split("-"))
    if operation not in acm.SERVICE.operations:
        assert "does not serve the operation" in outcome.stderr
        return
    if example.id in REFUSED:
        assert REFUSED[example.id] in outcome.stderr
        return
    assert outcome.status == 0, f"{' '.join(words)}\n{outcome}"
    if example.output is None:
        return
    found = [line.partition(":")[0] for line in differences(example.output, outcome.data)]
    assert {path for path in found if not path.endswith(LACKING.get(example.id, ()))} == set()


def test_the_pages_are_all_read() -> None:
    assert {example.page for example in ALL} == {page.removesuffix(".rst") for page in pages("acm")}
    assert len(ALL) >= 23
    assert BROKEN | LACKING.keys() | REFUSED.keys() <= {example.id for example in ALL}
