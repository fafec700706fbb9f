"""Signatures against botocore, which signs for every AWS client written in Python."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.wire.auth_errors import JSON_DIALECT, QUERY_DIALECT
from openecs.wire.call import Principal
from openecs.wire.sigv4 import Credentials, amz_date, sign
from openecs.wire.verifier import Signed, SigningKey, Verifier

NOW = 1_700_000_000
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ROOT = Principal("arn:aws:iam::123456789012:root", "root", KEY_ID)
KEYS = {
    KEY_ID: SigningKey(SECRET, ROOT),
    "ASIATEMPORARY": SigningKey(SECRET, ROOT, session_token="a/token+with=signs", expires_at=NOW + 100.0),
}
TOKENS = {KEY_ID: None, "ASIATEMPORARY": "a/token+with=signs"}


def boto_sign(request: AWSRequest, signer: type, key_id: str = KEY_ID, now: float = NOW, **more: Any) -> AWSRequest:
    moment = datetime.fromtimestamp(now, UTC)
    auth = signer(BotoCredentials(KEY_ID and key_id, SECRET, TOKENS.get(key_id)), "ecs", "eu-west-1", **more)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment.replace(tzinfo=None)):
        auth.add_auth(request)
    return request


def as_received(request: AWSRequest) -> Signed:
    parts = urlsplit(request.url)
    headers = {
        name.lower().encode(): value.encode() if isinstance(value, str) else value
        for name, value in request.headers.items()
    }
    headers.setdefault(b"host", parts.netloc.encode())
    body = request.data or b""
    return Signed(request.method, parts.path, parts.query, headers, body if isinstance(body, bytes) else body.encode())


def verify(signed: Signed, *, now: float = NOW, service: str | None = "ecs", dialect: Any = JSON_DIALECT, **more: Any):
    return Verifier(KEYS.get, **more).verify(signed, now=now, service=service, dialect=dialect)


def post(body: bytes = b'{"cluster":"default"}', **headers: str) -> AWSRequest:
    return AWSRequest(
        "POST",
        "http://127.0.0.1:4566/",
        headers={
            "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListTasks",
            "Content-Type": "application/x-amz-json-1.1",
            **headers,
        },
        data=body,
    )


def refusal(signed: Signed, **more: Any) -> AWSError:
    with pytest.raises(AWSError) as caught:
        verify(signed, **more)
    return caught.value


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
tokens = st.text(st.sampled_from("abcdefgh-XYZ0123"), min_size=1, max_size=8)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
paths = st.lists(st.text(st.sampled_from("ab~-_.%25: é+@,"), max_size=6), max_size=4).map(
    lambda parts: "/" + quote("/".join(parts), safe="/~")
)


@given(
    path=paths,
    query=st.lists(st.tuples(texts, texts), max_size=5),
    headers=st.dictionaries(tokens.map("X-Test-{}".format), st.lists(values, min_size=1, max_size=3).map("  ".join)),
    body=st.binary(max_size=40),
    key_id=st.sampled_from(sorted(KEYS)),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)
@settings(max_examples=150, deadline=None)
def test_what_botocore_signs_is_verified(path, query, headers, body, key_id, method):
    url = f"http://127.0.0.1:4566{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    verified = verify(as_received(boto_sign(request, botocore.auth.SigV4Auth, key_id)))
    assert verified == (ROOT, "eu-west-1", "ecs")


@given(query=st.dictionaries(tokens, texts, max_size=4), key_id=st.sampled_from(sorted(KEYS)), age=st.integers(0, 60))
@settings(max_examples=75, deadline=None)
def test_what_botocore_presigns_is_verified(query, key_id, age):
    url = "https://ecs.example.test/" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    request = boto_sign(AWSRequest("GET", url), botocore.auth.SigV4QueryAuth, key_id, expires=60)
    assert verify(as_received(request), now=NOW + age).principal == ROOT


@given(
    path=paths,
    query=st.lists(st.tuples(texts, texts), max_size=4),
    headers=st.dictionaries(tokens.map("X-Test-{}".format), values),
    body=st.binary(max_size=40),
    key_id=st.sampled_from(sorted(KEYS)),
)
@settings(max_examples=100, deadline=None)
def test_we_sign_as_botocore_does(path, query, headers, body, key_id):
    url = f"http://127.0.0.1:4566{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    headers = {name.lower(): value for name, value in headers.items()}
    theirs = boto_sign(AWSRequest("POST", url, headers=dict(headers), data=body), botocore.auth.SigV4Auth, key_id)
    ours = sign(
        Credentials(key_id, SECRET, TOKENS[key_id]),
        method="POST",
        url=url,
        headers=headers,
        body=body,
        region="eu-west-1",
        service="ecs",
        now=NOW,
    )
    assert {name: theirs.headers[name] for name in ours} == ours


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_breaks_the_signature(data):
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    what = data.draw(st.sampled_from(["body", "query", "path", "method", "host", "x-amz-target", "content-type"]))
    changed = {
        "body": lambda: signed._replace(body=signed.body + b" "),
        "query": lambda: signed._replace(query="a=b"),
        "path": lambda: signed._replace(path="/other"),
        "method": lambda: signed._replace(method="GET"),
    }.get(what, lambda: signed._replace(headers={**signed.headers, what.encode(): b"another"}))()
    error = refusal(changed)
    assert (error.code, error.status) == ("InvalidSignatureException", 400)
    assert error.message.startswith("The request signature we calculated does not match")


def test_plus_on_the_wire_is_signed_as_a_space():
    url = "http://127.0.0.1:4566/ws?dockerVersion=DockerVersion%3A%2020.10&seqNum=1"
    signed = as_received(boto_sign(AWSRequest("GET", url), botocore.auth.SigV4Auth))
    assert verify(signed._replace(query=signed.query.replace("%20", "+"))).principal == ROOT


def test_other_spellings_of_the_header_are_read():
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    header = signed.headers[b"authorization"].replace(b", ", b",")
    assert verify(signed._replace(headers={**signed.headers, b"authorization": header})).principal == ROOT


def test_a_date_header_serves_instead_of_x_amz_date():
    request = post()
    request.headers["Date"] = "Tue, 14 Nov 2023 22:13:20 GMT"
    signed = as_received(boto_sign(request, botocore.auth.SigV4Auth))
    assert b"x-amz-date" not in signed.headers
    assert verify(signed).principal == ROOT


@pytest.mark.parametrize(
    ("dialect", "code", "status", "text"),
    [
        (JSON_DIALECT, "MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
        (QUERY_DIALECT, "MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    ],
)
def test_no_signature(dialect, code, status, text):
    error = refusal(as_received(post()), dialect=dialect)
    assert (error.code, error.status, error.message) == (code, status, text)


@pytest.mark.parametrize(
    ("dialect", "code", "status"),
    [(JSON_DIALECT, "UnrecognizedClientException", 400), (QUERY_DIALECT, "InvalidClientTokenId", 403)],
)
@pytest.mark.parametrize("case", ["unknown key", "no token", "wrong token", "token with a plain key"])
def test_keys_that_are_not_ours(case, dialect, code, status):
    key_id = {"unknown key": "AKIANOBODY", "token with a plain key": KEY_ID}.get(case, "ASIATEMPORARY")
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth, key_id))
    headers = dict(signed.headers)
    headers.pop(b"x-amz-security-token", None)
    if case in ("wrong token", "token with a plain key"):
        headers[b"x-amz-security-token"] = b"another"
    error = refusal(signed._replace(headers=headers), dialect=dialect)
    assert (error.code, error.status) == (code, status)
    assert error.message == "The security token included in the request is invalid."


@pytest.mark.parametrize("region", ["", "EU-WEST-1", "eu west", "eu_west", "1eu", "x" * 64, "eu:west", "eu.west", "é"])
def test_a_region_has_a_form(region):
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    headers = {
        **signed.headers,
        b"authorization": signed.headers[b"authorization"].replace(b"/eu-west-1/", f"/{region}/".encode()),
    }
    assert "Credential should be scoped to a valid region." in refusal(signed._replace(headers=headers)).message


def test_wrong_secret():
    request = post()
    auth = sign(
        Credentials(KEY_ID, "not the secret"),
        method="POST",
        url=request.url,
        headers=dict(request.headers.items()),
        body=request.data,
        region="eu-west-1",
        service="ecs",
        now=NOW,
    )
    for name, value in auth.items():
        request.headers[name] = value
    assert refusal(as_received(request)).code == "InvalidSignatureException"
    error = refusal(as_received(request), dialect=QUERY_DIALECT)
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)


def test_temporary_credentials_end():
    request = boto_sign(post(), botocore.auth.SigV4Auth, "ASIATEMPORARY", now=NOW + 99)
    assert verify(as_received(request), now=NOW + 99).principal == ROOT
    error = refusal(as_received(request), now=NOW + 100)
    assert (error.code, error.message) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


def test_the_clock_may_differ_by_fifteen_minutes_only():
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    for now in (NOW - 900, NOW + 900):
        assert verify(signed, now=now).principal == ROOT
    late = refusal(signed, now=NOW + 901)
    assert late.code == "InvalidSignatureException"
    assert late.message == (
        "Signature expired: 20231114T221320Z is now earlier than 20231114T221321Z (20231114T222821Z - 15 min.)"
    )
    early = refusal(signed, now=NOW - 901)
    assert early.code == "InvalidSignatureException"
    assert early.message == (
        "Signature not yet current: 20231114T221320Z is still later than 20231114T221319Z (20231114T215819Z + 15 min.)"
    )


def test_presigned_urls_end_when_they_say():
    request = boto_sign(AWSRequest("GET", "https://h.test/"), botocore.auth.SigV4QueryAuth, expires=60)
    signed = as_received(request)
    assert verify(signed, now=NOW + 60).principal == ROOT
    assert refusal(signed, now=NOW + 61).message.startswith("Signature expired: 20231114T221320Z is now earlier than")


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "IncompleteSignatureException", "less than a week"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1", "IncompleteSignatureException", "should be a number"),
        ("X-Amz-Expires=60", "X-Amz-Expires=%D9%A1", "IncompleteSignatureException", "should be a number"),
        ("X-Amz-Expires=60", "x=60", "IncompleteSignatureException", "must include 'X-Amz-Expires'"),
        ("X-Amz-Expires=60", "X-Amz-Expires=61", "InvalidSignatureException", "does not match"),
        ("AWS4-HMAC-SHA256", "AWS4-NONE", "IncompleteSignatureException", "Unsupported AWS 'algorithm'"),
    ],
)
def test_presigned_urls_that_were_changed(old, new, code, words):
    request = boto_sign(AWSRequest("GET", "https://h.test/"), botocore.auth.SigV4QueryAuth, expires=60)
    signed = as_received(request)
    assert old in signed.query
    error = refusal(signed._replace(query=signed.query.replace(old, new)))
    assert error.code == code
    assert words in error.message


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        (b"AWS4-HMAC-SHA256", b"Bearer", "IncompleteSignatureException", "requires 'Credential' parameter"),
        (b"Signature=", b"Sig=", "IncompleteSignatureException", "requires 'Signature' parameter"),
        (b"Signature=", b"Signature", "IncompleteSignatureException", "missing equal-sign"),
        (b"/ecs/", b"/", "IncompleteSignatureException", "exactly 5 slash-delimited"),
        (b"/ecs/", b"/logs/", "InvalidSignatureException", "scoped to correct service: 'ecs'"),
        (b"/eu-west-1/", b"//", "InvalidSignatureException", "scoped to a valid region"),
        (b"/eu-west-1/", b"/eu-west-2/", "InvalidSignatureException", "does not match"),
        (b"aws4_request", b"aws5_request", "InvalidSignatureException", "valid terminator: 'aws4_request'"),
        (b"/20231114/", b"/20231113/", "InvalidSignatureException", "'20231113' != '20231114'"),
        (b";host;", b";", "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader'"),
        (b";x-amz-target", b"", "InvalidSignatureException", "'X-Amz-Target' must be a 'SignedHeader'"),
        (b";x-amz-target", b";x-amz-target;x-absent", "InvalidSignatureException", "does not match"),
    ],
)
def test_authorization_headers_that_were_changed(old, new, code, words):
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    assert old in signed.headers[b"authorization"]
    header = signed.headers[b"authorization"].replace(old, new)
    error = refusal(signed._replace(headers={**signed.headers, b"authorization": header}))
    assert error.code == code
    assert words in error.message


def test_a_missing_or_unreadable_date():
    signed = as_received(boto_sign(post(), botocore.auth.SigV4Auth))
    without = {name: value for name, value in signed.headers.items() if name != b"x-amz-date"}
    error = refusal(signed._replace(headers=without))
    assert error.code == "IncompleteSignatureException"
    assert "either a 'X-Amz-Date' or a 'Date' header" in error.message
    error = refusal(signed._replace(headers={**without, b"x-amz-date": b"20231114T99"}))
    assert error.code == "IncompleteSignatureException"
    assert "ISO-8601 'basic format'" in error.message


@pytest.mark.parametrize("claimed", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64])
def test_the_body_is_always_hashed_here(claimed):
    """A client cannot vouch for a body by naming its hash: what arrived is what counts."""
    request = post()
    request.headers["X-Amz-Content-SHA256"] = claimed
    signed = as_received(boto_sign(request, botocore.auth.SigV4Auth))
    assert refusal(signed).code == "InvalidSignatureException"


def test_unsigned_payload_where_it_is_allowed():
    request = post()
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signed = as_received(boto_sign(request, botocore.auth.SigV4Auth))
    assert verify(signed._replace(body=b"changed"), allow_unsigned_payload=True).principal == ROOT


@given(st.binary(max_size=80), st.text(st.characters(max_codepoint=255), max_size=80))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused_in_words(header, query):
    for signed in (
        as_received(post())._replace(headers={b"authorization": b"AWS4-HMAC-SHA256 " + header, b"x-amz-date": b"x"}),
        as_received(post())._replace(headers={}, query=f"X-Amz-Algorithm={query}"),
    ):
        assert refusal(signed).code.endswith("Exception")


def test_the_cache_of_derived_keys_is_bounded():
    verifier = Verifier(KEYS.get)
    for day in range(5000):
        now = NOW + day * 86_400
        url, body = "http://h.test/", b""
        headers = sign(
            Credentials(KEY_ID, SECRET), method="GET", url=url, headers={}, body=body,
            region="eu-west-1", service="ecs", now=now,
        )  # fmt: skip
        received = {name.lower().encode(): value.encode() for name, value in headers.items()} | {b"host": b"h.test"}
        verifier.verify(Signed("GET", "/", "", received, body), now=now, service="ecs", dialect=JSON_DIALECT)
    assert len(verifier._keys) <= 4096


def test_secrets_are_not_printed():
    assert SECRET not in repr(KEYS[KEY_ID])
    assert "token" not in repr(KEYS["ASIATEMPORARY"]).replace("session_token", "")
    assert SECRET not in repr(Credentials(KEY_ID, SECRET, "t"))


def test_amz_date():
    assert amz_date(calendar.timegm((2015, 8, 30, 12, 36, 0))) == "20150830T123600Z"
