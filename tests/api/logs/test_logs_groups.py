from __future__ import annotations

import pytest

from openecs.shapes import logs as shapes

NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")


async def names(logs, **members):
    return [group.log_group_name for group in (await logs.DescribeLogGroups(**members)).log_groups]


async def test_a_group_is_described_as_aws_does(logs):
    assert (
        await logs.CreateLogGroup(log_group_name="/ecs/web", tags={"team": "blue"}, log_group_class="STANDARD") is None
    )
    (group,) = (await logs.DescribeLogGroups()).log_groups
    assert group == shapes.LogGroup(
        log_group_name="/ecs/web",
        creation_time=logs.now,
        metric_filter_count=0,
        arn="arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web:*",
        log_group_arn="arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web",
        stored_bytes=0,
        log_group_class="STANDARD",
        deletion_protection_enabled=False,
    )


async def test_groups_of_regions_are_separate(logs):
    await logs.CreateLogGroup(log_group_name="g")
    logs.region = "us-east-1"
    assert await names(logs) == []
    await logs.CreateLogGroup(log_group_name="g")
    await logs.DeleteLogGroup(log_group_name="g")
    logs.region = "eu-west-1"
    assert await names(logs) == ["g"]


async def test_a_name_is_taken_until_its_group_is_deleted(logs):
    await logs.CreateLogGroup(log_group_name="g")
    assert await logs.refusal("CreateLogGroup", log_group_name="g") == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    await logs.DeleteLogGroup(log_group_name="g")
    assert await logs.refusal("DeleteLogGroup", log_group_name="g") == NO_GROUP
    await logs.CreateLogGroup(log_group_name="g")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"kms_key_id": "arn:aws:kms:r:a:key/1"}, "kmsKeyId"),
        ({"log_group_class": "INFREQUENT_ACCESS"}, "logGroupClass INFREQUENT_ACCESS"),
        ({"log_group_class": "DELIVERY"}, "logGroupClass DELIVERY"),
    ],
)
async def test_settings_that_cannot_be_honoured_are_refused(logs, members, field):
    code, message = await logs.refusal("CreateLogGroup", log_group_name="g", **members)
    assert (code, message) == ("InvalidParameterException", f"{field} is not supported by OpenECS.")


async def test_names_and_tags_of_aws_are_reserved(logs):
    code, message = await logs.refusal("CreateLogGroup", log_group_name="aws/x")
    assert (code, message) == ("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    assert (await logs.refusal("CreateLogGroup", log_group_name="g", tags={"aws:x": "1"}))[0] == (
        "InvalidParameterException"
    )


async def test_describe_filters_by_prefix_pattern_class_and_identifiers(logs):
    for name in ("b/1", "a/1", "a/2", "xa/3"):
        await logs.CreateLogGroup(log_group_name=name)
    assert await names(logs) == ["a/1", "a/2", "b/1", "xa/3"]
    assert await names(logs, log_group_name_prefix="a/") == ["a/1", "a/2"]
    assert await names(logs, log_group_name_pattern="a/") == ["a/1", "a/2", "xa/3"]
    assert await names(logs, log_group_class="STANDARD") == ["a/1", "a/2", "b/1", "xa/3"]
    assert await names(logs, log_group_class="INFREQUENT_ACCESS") == []
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:a/2"
    assert await names(logs, log_group_identifiers=("b/1", arn, "none")) == ["a/2", "b/1"]
    brief = (await logs.DescribeLogGroups(log_group_name_pattern="b")).log_groups[0]
    assert (brief.stored_bytes, brief.log_group_class) == (None, None)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"log_group_name_prefix": "a", "log_group_name_pattern": "a"}, "are mutually exclusive parameters."),
        ({"account_identifiers": ("123456789012",)}, "accountIdentifiers is not supported"),
        ({"include_linked_accounts": True}, "includeLinkedAccounts is not supported"),
        ({"log_group_identifiers": ("g",), "log_group_name_prefix": "g"}, "logGroupIdentifiers cannot be combined"),
        ({"log_group_identifiers": ("arn:aws:logs:eu-west-1:999999999999:log-group:g",)}, "of another account"),
        ({"log_group_identifiers": ("arn:aws:s3:::bucket",)}, "Invalid log group identifier"),
        ({"next_token": "nonsense"}, "The specified nextToken is invalid."),
        ({"limit": 51}, "'limit'"),
    ],
)
async def test_describe_refuses(logs, members, words):
    code, message = await logs.refusal("DescribeLogGroups", **members)
    assert code == "InvalidParameterException"
    assert words in message


async def test_describe_pages(logs):
    expected = [f"g{i:03}" for i in range(120)]
    for name in reversed(expected):
        await logs.CreateLogGroup(log_group_name=name)
    got, token, sizes = [], None, []
    while True:
        page = await logs.DescribeLogGroups(next_token=token)
        got += [group.log_group_name for group in page.log_groups]
        sizes.append(len(page.log_groups))
        token = page.next_token
        if token is None:
            break
    assert (got, sizes) == (expected, [50, 50, 20])


async def test_retention_is_set_shown_and_lifted(logs):
    await logs.CreateLogGroup(log_group_name="g")
    await logs.PutRetentionPolicy(log_group_name="g", retention_in_days=14)
    assert (await logs.DescribeLogGroups()).log_groups[0].retention_in_days == 14
    await logs.DeleteRetentionPolicy(log_group_name="g")
    assert (await logs.DescribeLogGroups()).log_groups[0].retention_in_days is None
    for days in (0, 2, -1, 3654):
        code, message = await logs.refusal("PutRetentionPolicy", log_group_name="g", retention_in_days=days)
        assert code == "InvalidParameterException"
        assert f"Value '{days}' at 'retentionInDays'" in message
    assert await logs.refusal("PutRetentionPolicy", log_group_name="x", retention_in_days=1) == NO_GROUP
    assert await logs.refusal("DeleteRetentionPolicy", log_group_name="x") == NO_GROUP


async def test_tags_by_arn_and_by_name_are_the_same_tags(logs):
    await logs.CreateLogGroup(log_group_name="g", tags={"a": "1"})
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:g"
    await logs.TagResource(resource_arn=arn, tags={"b": "2"})
    await logs.TagLogGroup(log_group_name="g", tags={"a": "3", "c": ""})
    assert (await logs.ListTagsForResource(resource_arn=f"{arn}:*")).tags == {"a": "3", "b": "2", "c": ""}
    await logs.UntagResource(resource_arn=arn, tag_keys=("a", "never there"))
    await logs.UntagLogGroup(log_group_name="g", tags=("b",))
    assert (await logs.ListTagsLogGroup(log_group_name="g")).tags == {"c": ""}


async def test_tagging_refuses(logs):
    await logs.CreateLogGroup(log_group_name="g", tags={f"k{i}": "" for i in range(49)})
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:"
    code, _ = await logs.refusal("TagResource", resource_arn=f"{arn}g", tags={"x": "", "y": ""})
    assert code == "TooManyTagsException"
    code, _ = await logs.refusal("TagLogGroup", log_group_name="g", tags={"x": "", "y": ""})
    assert code == "InvalidParameterException"
    code, _ = await logs.refusal("TagResource", resource_arn=f"{arn}g", tags={"aws:x": ""})
    assert code == "InvalidParameterException"
    assert await logs.refusal("TagResource", resource_arn=f"{arn}x", tags={"x": ""}) == NO_GROUP
    assert await logs.refusal("ListTagsLogGroup", log_group_name="x") == NO_GROUP
    code, _ = await logs.refusal("ListTagsForResource", resource_arn="g")
    assert code == "InvalidParameterException"
    for other in (
        "arn:aws:logs:us-east-1:123456789012:log-group:g",
        "arn:aws:logs:eu-west-1:123456789012:destination:d",
    ):
        code, _ = await logs.refusal("ListTagsForResource", resource_arn=other)
        assert code == "ResourceNotFoundException"
