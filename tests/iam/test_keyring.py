"""Sealed secrets open with their own master key only."""

from __future__ import annotations

import pytest

from openecs.errors import OperatorError
from openecs.iam.keyring import KeyRing
from openecs.iam.policy import allowed


def test_a_sealed_secret_opens_again_and_shows_nothing() -> None:
    ring = KeyRing(KeyRing.new_master_key())
    sealed = ring.seal("wJalrXUtnFEMI")
    assert ring.open(sealed) == "wJalrXUtnFEMI"
    assert "wJalr" not in sealed
    assert ring.seal("wJalrXUtnFEMI") != sealed


def test_another_master_key_does_not_open_it() -> None:
    sealed = KeyRing(KeyRing.new_master_key()).seal("secret")
    with pytest.raises(OperatorError, match="master key"):
        KeyRing(KeyRing.new_master_key()).open(sealed)


def test_key_pairs_have_the_form_that_clients_expect() -> None:
    key_id, secret = KeyRing.new_pair("ASIA")
    assert key_id.startswith("ASIA")
    assert len(key_id) == 20
    assert len(secret) == 40
    assert KeyRing.new_pair("ASIA")[0] != key_id


@pytest.mark.parametrize(
    ("kind", "service", "operation", "expected"),
    [
        ("root", "ecs", "DeleteCluster", True),
        ("agent", "ecs", "SubmitTaskStateChange", True),
        ("agent", "ecs", "RunTask", False),
        ("execution", "logs", "PutLogEvents", True),
        ("execution", "ecs", "ListClusters", False),
        ("task", "sts", "GetCallerIdentity", True),
        ("task", "logs", "PutLogEvents", False),
    ],
)
def test_what_kinds_of_principals_may_do(kind: str, service: str, operation: str, expected: bool) -> None:
    assert allowed(kind, service, operation) is expected  # type: ignore[arg-type]
