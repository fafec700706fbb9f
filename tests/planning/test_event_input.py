"""What targets get of events: the examples of the documentation, and what must hold for all."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.event import Event, envelope
from openecs.planning.event_input import parse_path, payload
from openecs.shapes import events

EVENT = envelope(
    Event(
        id="7bf73129-1428-4cd3-a780-95db273d1602",
        source="aws.ec2",
        detail_type="EC2 Instance State-change Notification",
        account="123456789012",
        region="us-east-1",
        time=1447286638.9,
        detail=b'{"instance-id":"i-0123456789","state":"RUNNING","n":1,"list":[{"a":1},{"a":2}],"q":"a\\"b"}',
        resources=("arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789",),
    )
)


def given_to(**target: object) -> str:
    whole = msgspec.convert({"Id": "t", "Arn": "arn:aws:logs:r:1:log-group:g", **target}, events.Target)
    return payload(whole, EVENT, rule_arn="arn:rule", rule_name="rule", ingested_at=1447286640.5)


def transformed(template: str, **paths: str) -> str:
    return given_to(InputTransformer={"InputPathsMap": paths, "InputTemplate": template})


def test_a_target_gets_the_whole_event() -> None:
    assert given_to() == EVENT
    assert json.loads(EVENT)["time"] == "2015-11-12T00:03:58Z"
    assert list(json.loads(EVENT)) == [
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    ]


def test_a_constant_or_a_part_of_the_event() -> None:
    assert given_to(Input='{"a": 1}') == '{"a": 1}'
    assert given_to(InputPath="$.detail.state") == '"RUNNING"'
    assert given_to(InputPath="$.detail.list[1]") == '{"a":2}'
    assert given_to(InputPath="$.detail.list[*].a") == "[1,2]"
    assert given_to(InputPath="$.nothing") == "null"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<instance> is in state <status>", '"i-0123456789" is in state "RUNNING"'),
        ('"<instance> is in state <status>"', '"i-0123456789 is in state RUNNING"'),
        ('{"instance": <instance>, "n": <n>}', '{"instance": "i-0123456789", "n": 1}'),
        ('{"text": "<status> and <quoted>"}', '{"text": "RUNNING and a\\"b"}'),
        ('{"text": "[<absent>]", "x": <absent>}', '{"text": "[]", "x": null}'),
        ('{"rule": <aws.events.rule-name>}', '{"rule": "rule"}'),
        ('{"at": <aws.events.event.ingestion-time>}', '{"at": "2015-11-12T00:04:00.500Z"}'),
        ('{"list": <list>}', '{"list": [{"a":1},{"a":2}]}'),
        ("Instance <instance>!", "Instance i-0123456789!"),
    ],
)
def test_a_template(template: str, expected: str) -> None:
    paths = {
        "instance": "$.detail.instance-id",
        "status": "$.detail.state",
        "n": "$.detail.n",
        "quoted": "$.detail.q",
        "list": "$.detail['list']",
        "absent": "$.detail.absent",
    }
    assert transformed(template, **paths) == expected


def test_a_template_may_have_the_event_itself() -> None:
    assert json.loads(transformed('{"e": <aws.events.event.json>}'))["e"] == json.loads(EVENT)
    assert "detail" not in json.loads(transformed('{"e": <aws.events.event>}'))["e"]


@pytest.mark.parametrize("path", ["detail", "$detail", "$.a..b", "$.a[", "$.a['b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no JSON path"):
        parse_path(path)


@given(st.text(max_size=20))
def test_a_text_of_the_event_never_breaks_the_json_around_it(text: str) -> None:
    event = envelope(Event("i", "s", "d", "1", "r", 0.0, json.dumps({"x": text}).encode()))
    template = events.InputTransformer(input_paths_map={"x": "$.detail.x"}, input_template='{"a": "-<x>-", "b": <x>}')
    target = events.Target(id="t", arn="arn", input_transformer=template)
    found = json.loads(payload(target, event, rule_arn="", rule_name="", ingested_at=0.0))
    assert found == {"a": f"-{text}-", "b": text}
