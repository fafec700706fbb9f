"""A listener's rules, evaluated by plain Python and by the real Envoy: both come to the same rule."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from envoy_world import World, header, host, method, path, query, rule, source
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from openecs.acs.host_documents import BalancerRule
from openecs.shapes import elbv2


class Asked(NamedTuple):
    """A request."""

    method: str
    host: str
    path: str
    query: str | None
    kind: str | None
    client: str

    def sent(self) -> bytes:
        target = self.path if self.query is None else f"{self.path}?{self.query}"
        kind = "" if self.kind is None else f"X-Kind: {self.kind}\r\n"
        return f"{self.method} {target} HTTP/1.1\r\nHost: {self.host}\r\n{kind}Connection: close\r\n\r\n".encode()


# --- AWS's rules in plain Python --------------------------------------------------------------


def fits(pattern: str, text: str) -> bool:
    """``*`` is any text, ``?`` one character."""
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(c) or re.escape(c) for c in pattern), text, re.DOTALL) is not None


def pairs_of(text: str | None) -> list[tuple[str, str]]:
    if text is None:
        return []
    split = (piece.partition("=") for piece in text.split("&"))
    return [(unquote(key).lower(), unquote(value).lower()) for key, _, value in split]


def holds(condition: elbv2.RuleCondition, asked: Asked) -> bool:
    if condition.host_header_config is not None:
        name = re.sub(r":[0-9]+$", "", asked.host).lower()
        return any(fits(value.lower(), name) for value in condition.host_header_config.values or ())
    if condition.http_header_config is not None:
        patterns = condition.http_header_config.values or ()
        return asked.kind is not None and any(fits(value.lower(), asked.kind.lower()) for value in patterns)
    if condition.http_request_method_config is not None:
        return asked.method in (condition.http_request_method_config.values or ())
    if condition.query_string_config is not None:
        return any(
            (wanted.key is None or fits(wanted.key.lower(), key)) and fits((wanted.value or "").lower(), value)
            for wanted in condition.query_string_config.values or ()
            for key, value in pairs_of(asked.query)
        )
    if condition.source_ip_config is not None:
        client = ipaddress.ip_address(asked.client)
        return any(client in ipaddress.ip_network(value) for value in condition.source_ip_config.values or ())
    return any(fits(value, asked.path) for value in condition.values or ())


def chosen(rules: list[BalancerRule], asked: Asked) -> str:
    for number, found in enumerate(rules):
        if all(holds(condition, asked) for condition in found.conditions):
            return str(number)
    return "default"


# --- rules and requests -----------------------------------------------------------------------

_word = st.text("ab", min_size=0, max_size=2)
_pattern = st.text("aAb*?", min_size=1, max_size=3)
_hosts = st.builds("{}{}".format, st.text("aAb.", min_size=1, max_size=4), st.sampled_from(["", ":80"]))
_values = {
    "host": st.lists(st.text("ab.*?", min_size=1, max_size=4), min_size=1, max_size=2).map(lambda v: host(*v)),
    "path": st.lists(st.text("ab/.*?", max_size=3).map("/{}".format), min_size=1, max_size=2).map(lambda v: path(*v)),
    "header": st.lists(_pattern, min_size=1, max_size=2).map(lambda v: header("x-kind", *v)),
    "method": st.lists(st.sampled_from(["GET", "PUT", "PURGE"]), min_size=1, max_size=2, unique=True).map(
        lambda v: method(*v)
    ),
    "query": st.lists(st.tuples(st.none() | _pattern, _pattern), min_size=1, max_size=2).map(lambda v: query(*v)),
    "source": st.lists(
        st.sampled_from(["127.0.0.1/32", "127.0.0.2/32", "127.0.0.0/30", "10.0.0.0/8"]), min_size=1, max_size=2
    ).map(lambda v: source(*v)),
}
_conditions = st.lists(st.one_of(*_values.values()), min_size=1, max_size=3)
_encoded = st.sampled_from(["a", "b", "%61", "B", "", "ab"])
_queries = st.lists(
    st.builds("{}{}{}".format, _encoded, st.sampled_from(["=", "=", ""]), _encoded).filter(
        lambda piece: "=" in piece or piece in {"a", "b", "ab"}
    ),
    min_size=1,
    max_size=3,
).map("&".join)
_requests = st.builds(
    Asked,
    method=st.sampled_from(["GET", "PUT", "PURGE"]),
    host=_hosts,
    path=st.text("aAb/.", max_size=3).map("/{}".format),
    query=st.none() | _queries,
    kind=st.none() | st.text("aAb", min_size=1, max_size=3),
    client=st.sampled_from(["127.0.0.1", "127.0.0.2", "127.0.0.9"]),
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def said(world: World, asked: Asked) -> str:
    with socket.create_connection(("127.0.0.1", world.port), 5, (asked.client, 0)) as client:
        client.sendall(asked.sent())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        body = answer.read()
    assert answer.status == 200, body
    return body.decode().split()[0]


def ruled(number: int | str, conditions: list[Any]) -> BalancerRule:
    config = elbv2.FixedResponseActionConfig(status_code="200", message_body=str(number))
    return rule(elbv2.Action(type="fixed-response", fixed_response_config=config), *conditions)


@example(conditions=[[query(("A", "?"))]], requests=[Asked("GET", "a", "/", "%61=a", None, "127.0.0.1")])
@settings(
    max_examples=120,
    deadline=None,
    # Each example starts listeners anew: making a failing one smaller would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(conditions=st.lists(_conditions, min_size=1, max_size=4), requests=st.lists(_requests, min_size=6, max_size=12))
def test_envoy_and_the_model_agree(world: World, conditions: list[list[Any]], requests: list[Asked]) -> None:
    rules = [ruled(number, found) for number, found in enumerate(conditions)]
    world.serve(*rules, ruled("default", []))
    assert [said(world, asked) for asked in requests] == [chosen(rules, asked) for asked in requests]
