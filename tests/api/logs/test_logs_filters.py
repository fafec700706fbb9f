"""Metric filters, subscription filters, resource policies, deletion protection, and patterns in reading."""

from __future__ import annotations

import asyncio

import pytest
from logs_client import ACCOUNT

from openecs.api.logs.live_tail import MOST_EVENTS, LiveTail
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Principal

GROUP_ARN = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:"


def transformation(**members):
    return (
        shapes.MetricTransformation(**({"metric_name": "m", "metric_namespace": "n", "metric_value": "1"} | members)),
    )


async def put_filter(logs, name="f", pattern="ERROR", **members):
    await logs.PutMetricFilter(
        log_group_name="g", filter_name=name, filter_pattern=pattern, metric_transformations=transformation(**members)
    )


async def test_a_pattern_filters_events_over_pages(stream):
    logs = stream
    await logs.put("g", "s", *((logs.now + n, f"{'ERROR' if n % 3 == 0 else 'fine'} {n}") for n in range(10)))
    found, token = [], None
    while True:
        page = await logs.FilterLogEvents(log_group_name="g", filter_pattern="ERROR", limit=2, next_token=token)
        found += [event.message for event in page.events]
        token = page.next_token
        if token is None:
            break
    assert found == ["ERROR 0", "ERROR 3", "ERROR 6", "ERROR 9"]


async def test_metric_filters_are_kept_shown_replaced_and_deleted(stream):
    logs = stream
    await put_filter(logs, "b")
    await put_filter(logs, "a", default_value=0.0)
    await put_filter(logs, "b", "WARN", metric_name="other")
    found = (await logs.DescribeMetricFilters(log_group_name="g")).metric_filters
    assert [(f.filter_name, f.filter_pattern, f.log_group_name) for f in found] == [
        ("a", "ERROR", "g"),
        ("b", "WARN", "g"),
    ]
    assert found[0].metric_transformations == transformation(default_value=0.0)
    (only,) = (await logs.DescribeMetricFilters(metric_name="other", metric_namespace="n")).metric_filters
    assert only.filter_name == "b"
    assert (await logs.DescribeLogGroups()).log_groups[0].metric_filter_count == 2
    await logs.DeleteMetricFilter(log_group_name="g", filter_name="b")
    assert await logs.refusal("DeleteMetricFilter", log_group_name="g", filter_name="b") == (
        "ResourceNotFoundException",
        "The specified metric filter does not exist.",
    )
    await logs.DeleteLogGroup(log_group_name="g")
    assert len(logs.state.metric_filters) == 0


@pytest.mark.parametrize(
    ("pattern", "members", "why"),
    [
        ("a-b", {}, "Invalid character"),
        ("ERROR", {"metric_value": "x"}, "neither a number nor a field"),
        ("ERROR", {"metric_value": "nan"}, "neither a number nor a field"),
        ("ERROR", {"metric_value": "$bytes"}, "no field of the filter pattern"),
        ("[a, b]", {"metric_value": "$c"}, "no field of the filter pattern"),
        ("{ $.a = 1 }", {"metric_value": "$"}, "no property selector"),
        ("ERROR", {"metric_namespace": "AWS/ECS"}, "reserved"),
        ("[a, b]", {"dimensions": {"A": "$a"}, "default_value": 0.0}, "mutually exclusive"),
        ("[a, b, c, d]", {"dimensions": {n: f"${n}" for n in "abcd"}}, "no more than 3"),
        ("[a, b]", {"dimensions": {"A": "a"}}, r"a field of the pattern"),
    ],
)
async def test_metric_filters_that_make_no_sense_are_refused(stream, pattern, members, why):
    with pytest.raises(AWSError, match=why):
        await put_filter(stream, pattern=pattern, **members)
    assert len(stream.state.metric_filters) == 0


async def test_a_group_takes_five_filters_with_regular_expressions(stream):
    for number in range(5):
        await put_filter(stream, f"f{number}", "%x%")
    with pytest.raises(AWSError, match="Resource limit exceeded"):
        await put_filter(stream, "f5", "%x%")
    await put_filter(stream, "f0", "%y%")
    await put_filter(stream, "f5", "x")


async def test_a_pattern_is_tested_on_messages(logs):
    messages = ("ERROR 1", "fine 2", "ERROR 3")
    tested = await logs.TestMetricFilter(filter_pattern="[level=ERROR, number]", log_event_messages=messages)
    assert [(m.event_number, m.event_message, m.extracted_values) for m in tested.matches] == [
        (1, "ERROR 1", {"$level": "ERROR", "$number": "1"}),
        (3, "ERROR 3", {"$level": "ERROR", "$number": "3"}),
    ]


async def subscribe(logs, destination, name="f", group="g"):
    await logs.PutSubscriptionFilter(
        log_group_name=group, filter_name=name, filter_pattern="", destination_arn=destination
    )


async def test_subscription_filters_are_kept_shown_and_deleted(stream):
    logs = stream
    await logs.CreateLogGroup(log_group_name="h")
    await subscribe(logs, GROUP_ARN + "h")
    await subscribe(logs, "http://127.0.0.1:9/in", "e")
    found = (await logs.DescribeSubscriptionFilters(log_group_name="g")).subscription_filters
    assert [(f.filter_name, f.destination_arn) for f in found] == [
        ("e", "http://127.0.0.1:9/in"),
        ("f", GROUP_ARN + "h"),
    ]
    with pytest.raises(AWSError, match="Resource limit exceeded"):
        await subscribe(logs, "http://127.0.0.1:9/in", "third")
    await logs.DeleteSubscriptionFilter(log_group_name="g", filter_name="e")
    await logs.DeleteLogGroup(log_group_name="g")
    assert len(logs.state.subscription_filters) == len(logs.state.subscription_progress) == 0


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        (GROUP_ARN + "g", "back to their own log group"),
        (GROUP_ARN + "none", "does not exist"),
        ("arn:aws:logs:eu-west-1:210987654321:log-group:g", "another account"),
        (f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f", "lambda as a destination is not supported by OpenECS"),
        (f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/s", "kinesis as a destination is not supported"),
        ("http://user@host/", "not supported by OpenECS"),
        ("nothing", "not supported by OpenECS"),
    ],
)
async def test_destinations_that_cannot_be_are_refused(stream, destination, why):
    with pytest.raises(AWSError, match=why):
        await subscribe(stream, destination)
    assert len(stream.state.subscription_filters) == 0


async def test_a_loop_over_several_groups_is_refused(stream):
    logs = stream
    await logs.CreateLogGroup(log_group_name="h")
    await subscribe(logs, GROUP_ARN + "h")
    with pytest.raises(AWSError, match="back to their own log group"):
        await subscribe(logs, GROUP_ARN + "g", group="h")


async def test_a_protected_group_and_its_streams_cannot_be_deleted(logs):
    await logs.CreateLogGroup(log_group_name="g", deletion_protection_enabled=True)
    await logs.CreateLogStream(log_group_name="g", log_stream_name="s")
    assert (await logs.DescribeLogGroups()).log_groups[0].deletion_protection_enabled
    assert (await logs.refusal("DeleteLogGroup", log_group_name="g"))[0] == "ValidationException"
    assert (await logs.refusal("DeleteLogStream", log_group_name="g", log_stream_name="s"))[0] == "ValidationException"
    await logs.PutLogGroupDeletionProtection(log_group_identifier=GROUP_ARN + "g", deletion_protection_enabled=False)
    await logs.DeleteLogStream(log_group_name="g", log_stream_name="s")
    await logs.DeleteLogGroup(log_group_name="g")


async def test_groups_are_listed_by_name_and_tags(logs):
    for name, tags in (("/ecs/web", {"env": "prod-1"}), ("/ecs/db", {"env": "test"}), ("other", {})):
        await logs.CreateLogGroup(log_group_name=name, tags=tags)

    async def listed(**members):
        return [g.log_group_name for g in (await logs.ListLogGroups(**members)).log_groups]

    def tagged(*values):
        return (shapes.TagFilter(key="env", values=values),)

    assert await listed() == ["/ecs/db", "/ecs/web", "other"]
    assert await listed(log_group_name_pattern="^/ecs") == ["/ecs/db", "/ecs/web"]
    assert await listed(log_group_name_pattern="^ecs|oth") == ["other"]
    assert await listed(log_group_tags=tagged()) == ["/ecs/db", "/ecs/web"]
    assert await listed(log_group_tags=tagged("PROD*")) == ["/ecs/web"]
    assert await listed(log_group_tags=tagged("!test")) == ["/ecs/web"]
    assert await listed(log_group_class="INFREQUENT_ACCESS") == []


async def test_resource_policies_are_kept_and_shown(logs):
    document = '{"Version": "2012-10-17", "Statement": []}'
    await logs.PutResourcePolicy(policy_name="p", policy_document=document)
    (policy,) = (await logs.DescribeResourcePolicies()).resource_policies
    assert (policy.policy_name, policy.policy_document, policy.policy_scope) == ("p", document, "ACCOUNT")
    assert (await logs.refusal("PutResourcePolicy", policy_name="q", policy_document="{}"))[0] == (
        "InvalidParameterException"
    )
    await logs.DeleteResourcePolicy(policy_name="p")
    assert (await logs.refusal("DeleteResourcePolicy", policy_name="p"))[0] == "ResourceNotFoundException"


async def test_a_groups_policy_is_changed_by_its_revision(logs):
    document = '{"Statement": []}'
    await logs.CreateLogGroup(log_group_name="g")
    revision = (await logs.PutResourcePolicy(resource_arn=GROUP_ARN + "g", policy_document=document)).revision_id
    code, _ = await logs.refusal("PutResourcePolicy", resource_arn=GROUP_ARN + "g", policy_document=document)
    assert code == "OperationAbortedException"
    await logs.DeleteResourcePolicy(resource_arn=GROUP_ARN + "g", expected_revision_id=revision)
    assert (await logs.DescribeResourcePolicies(policy_scope="RESOURCE")).resource_policies == ()


async def test_groups_are_not_encrypted_by_key(stream):
    for operation, members in (
        ("AssociateKmsKey", {"log_group_name": "g", "kms_key_id": "k"}),
        ("DisassociateKmsKey", {"log_group_name": "g"}),
    ):
        code, text = await stream.refusal(operation, **members)
        assert code == "InvalidParameterException"
        assert "not supported by OpenECS" in text


class Session:
    """A Live Tail session without HTTP."""

    def __init__(self, logs, **members) -> None:
        tail = LiveTail(logs.store, interval=members.pop("interval", 0.0), session_seconds=members.pop("seconds", 60.0))
        root = Principal(f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIA")
        call = Call("logs", "StartLiveTail", "r", ACCOUNT, "eu-west-1", root, 0.0, SeededIds(), "http://x")
        members.setdefault("log_group_identifiers", (GROUP_ARN + "g",))
        self.events = tail.start_live_tail(call, shapes.StartLiveTailRequest(**members)).events

    async def next(self):
        return await anext(self.events)

    async def update(self, count):
        """The messages of the next updates until there are so many; whether any was sampled."""
        found, sampled = [], False
        async with asyncio.timeout(10):
            while len(found) < count:
                _, update = await self.next()
                found += [event.message for event in update.session_results]
                sampled |= update.session_metadata.sampled
        return found, sampled


async def test_a_live_tail_shows_what_matches_as_it_comes(stream):
    logs = stream
    await logs.CreateLogStream(log_group_name="g", log_stream_name="other")
    await logs.put("g", "s", (logs.now, "ERROR before"))
    session = Session(logs, log_event_filter_pattern="ERROR", log_stream_name_prefixes=("s",))
    name, start = await session.next()
    assert (name, start.log_group_identifiers) == ("sessionStart", (GROUP_ARN + "g",))
    assert (await session.next())[1].session_results == ()
    await logs.put("g", "other", (logs.now, "ERROR elsewhere"))
    await logs.put("g", "s", (logs.now, "ERROR 1"), (logs.now, "fine 2"), (logs.now, "ERROR 3"))
    assert await session.update(2) == (["ERROR 1", "ERROR 3"], False)
    await session.events.aclose()
    assert logs.store._listeners == []


async def test_a_live_tail_samples_what_is_too_much(stream):
    logs = stream
    session = Session(logs, interval=0.01)
    await session.next()
    await logs.put("g", "s", *((logs.now, f"{n}") for n in range(2000)))
    found, sampled = await session.update(1)
    assert sampled
    assert found == [str(n * 4) for n in range(MOST_EVENTS)]
    await session.events.aclose()


async def test_a_live_tail_times_out(stream):
    session = Session(stream, seconds=0.0)
    await session.next()
    with pytest.raises(AWSError) as caught:
        await session.next()
    assert caught.value.code == "SessionTimeoutException"


@pytest.mark.parametrize(
    "members",
    [
        {"log_group_identifiers": ("g",)},
        {"log_group_identifiers": (GROUP_ARN + "g:*",)},
        {"log_group_identifiers": (GROUP_ARN + "none",)},
        {"log_stream_names": ("s",), "log_stream_name_prefixes": ("s",)},
        {"log_group_identifiers": (GROUP_ARN + "g", GROUP_ARN + "g"), "log_stream_names": ("s",)},
        {"log_event_filter_pattern": "a-b"},
    ],
)
async def test_a_live_tail_of_nothing_sound_is_refused(stream, members):
    with pytest.raises(AWSError):
        Session(stream, **members)
