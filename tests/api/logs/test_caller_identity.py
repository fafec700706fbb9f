from __future__ import annotations

import re

import pytest

from openecs.api.sts.caller_identity import CallerIdentity
from openecs.ids import SeededIds
from openecs.shapes.sts import GetCallerIdentityRequest
from openecs.wire.call import Call, Principal

ACCOUNT = "123456789012"


def identity(resource: str, kind="root"):
    principal = Principal(f"arn:aws:{resource}", kind, "AKIA")
    call = Call("sts", "GetCallerIdentity", "id", ACCOUNT, "r", principal, 0.0, SeededIds(), "http://x")
    return CallerIdentity().handlers()["GetCallerIdentity"](call, GetCallerIdentityRequest())


def test_root_is_the_account():
    reply = identity(f"iam::{ACCOUNT}:root")
    assert (reply.account, reply.arn, reply.user_id) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)


@pytest.mark.parametrize("session", ["i-1", "a.b@c"])
def test_an_assumed_role_has_its_role_id_and_session(session):
    reply = identity(f"sts::{ACCOUNT}:assumed-role/web/{session}", "task")
    assert re.fullmatch(rf"AROA[A-Z2-7]{{17}}:{re.escape(session)}", reply.user_id)
    assert reply.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/{session}"
    other = identity(f"sts::{ACCOUNT}:assumed-role/db/{session}", "task")
    assert other.user_id != reply.user_id
    assert identity(f"sts::{ACCOUNT}:assumed-role/web/{session}", "task").user_id == reply.user_id


def test_a_user_has_an_id_of_users():
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", identity(f"iam::{ACCOUNT}:user/ann").user_id)
