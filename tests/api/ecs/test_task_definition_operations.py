"""Revisions, families, statuses and references through the six operations."""

from __future__ import annotations

import pytest
from task_definition_kit import ACCOUNT, CALLER, REGION, Account, body, container

from openecs.api.ecs.definition import lookup
from openecs.errors import AWSError


def arn(name: str, region: str = REGION) -> str:
    return f"arn:aws:ecs:{region}:{ACCOUNT}:task-definition/{name}"


@pytest.fixture
def account() -> Account:
    return Account()


def test_registering_the_same_again_makes_the_next_revision(account: Account) -> None:
    assert [account.register(), account.register(), account.register("other")] == [
        arn("web:1"),
        arn("web:2"),
        arn("other:1"),
    ]


def test_reply_says_who_registered_what_and_when(account: Account) -> None:
    reply = account.do("RegisterTaskDefinition", **body(), now=1_800_000_000.5)
    registered = reply["taskDefinition"]
    assert reply.keys() == {"taskDefinition"}
    assert registered["status"] == "ACTIVE"
    assert registered["revision"] == 1
    assert registered["registeredAt"] == 1_800_000_000.5
    assert registered["registeredBy"] == CALLER
    assert account.do("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"] == registered


def test_described_definition_can_be_registered_again_without_what_aws_adds(account: Account) -> None:
    account.do("RegisterTaskDefinition", **body(container(portMappings=[{"containerPort": 80}])))
    described = account.do("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]
    added = {
        "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
        "registeredBy",
    }  # fmt: skip
    again = account.do("RegisterTaskDefinition", **{k: v for k, v in described.items() if k not in added})
    assert {k: v for k, v in again["taskDefinition"].items() if k not in added} == {
        k: v for k, v in described.items() if k not in added
    }


def test_tags_are_answered_on_request(account: Account) -> None:
    tags = [{"key": "team", "value": "blue"}]
    assert account.do("RegisterTaskDefinition", **body(tags=tags))["tags"] == tags
    assert account.do("DescribeTaskDefinition", taskDefinition="web")["tags"] == []
    assert account.do("DescribeTaskDefinition", taskDefinition="web", include=["TAGS"])["tags"] == tags
    account.register("bare")
    assert account.do("DescribeTaskDefinition", taskDefinition="bare", include=["TAGS"])["tags"] == []


@pytest.mark.parametrize(
    "tags",
    [
        [{"key": "aws", "value": "x"}, {"key": "aws", "value": "y"}],
        [{"value": "x"}],
        [{"key": "a", "value": "x" * 256}] * 2,
    ],
)
def test_refused_tags_leave_nothing_behind(account: Account, tags: list[dict[str, str]]) -> None:
    with pytest.raises(AWSError) as caught:
        account.do("RegisterTaskDefinition", **body(tags=tags))
    assert caught.value.code == "InvalidParameterException"
    assert account.records() == []


def test_references_of_every_form_find_the_revision(account: Account) -> None:
    for _ in range(3):
        account.register()
    account.do("DeregisterTaskDefinition", taskDefinition="web:3")
    found = {
        text: account.do("DescribeTaskDefinition", taskDefinition=text)["taskDefinition"]["revision"]
        for text in ("web", "web:1", "web:3", arn("web"), arn("web:2"))
    }
    assert found == {"web": 2, "web:1": 1, "web:3": 3, arn("web"): 2, arn("web:2"): 2}


@pytest.mark.parametrize("text", ["nobody", "web:2", arn("web:2"), arn("web:1", "us-east-1"), "web:" + "9" * 30])
def test_describing_what_is_not_there(account: Account, text: str) -> None:
    account.register()
    with pytest.raises(AWSError) as caught:
        account.do("DescribeTaskDefinition", taskDefinition=text)
    assert (caught.value.code, caught.value.message) == ("ClientException", "Unable to describe task definition.")


@pytest.mark.parametrize(
    "text", ["", "web:", "web:0", "web:x", "web:1:2", "arn:aws:ecs", "arn:aws:ecs:r:a:cluster/web"]
)
def test_references_that_cannot_be_read(account: Account, text: str) -> None:
    account.register()
    for operation, members in (
        ("DescribeTaskDefinition", {"taskDefinition": text}),
        ("DeregisterTaskDefinition", {"taskDefinition": text}),
        ("DeleteTaskDefinitions", {"taskDefinitions": [text]}),
    ):
        with pytest.raises(AWSError) as caught:
            account.do(operation, **members)
        assert caught.value.code == "InvalidParameterException"


def test_regions_are_separate(account: Account) -> None:
    account.register()
    other = account.do("RegisterTaskDefinition", region="us-east-1", **body())["taskDefinition"]
    assert other["taskDefinitionArn"] == arn("web:1", "us-east-1")
    assert account.do("ListTaskDefinitions")["taskDefinitionArns"] == [arn("web:1")]
    assert account.do("ListTaskDefinitionFamilies", region="us-east-1")["families"] == ["web"]


def test_deregistered_definitions_stay_describable_and_start_nothing(account: Account) -> None:
    account.register()
    assert lookup.resolve(account.state, REGION, "web").revision == 1
    reply = account.do("DeregisterTaskDefinition", taskDefinition="web:1", now=1_700_000_100.0)["taskDefinition"]
    assert (reply["status"], reply["deregisteredAt"]) == ("INACTIVE", 1_700_000_100.0)
    assert account.do("DescribeTaskDefinition", taskDefinition="web:1")["taskDefinition"] == reply
    for text, words in (("web:1", "TaskDefinition is inactive"), ("web", "TaskDefinition not found.")):
        with pytest.raises(AWSError) as caught:
            account.api.resolve(REGION, text)
        assert (caught.value.code, caught.value.message) == ("ClientException", words)
    again = account.do("DeregisterTaskDefinition", taskDefinition="web:1", now=1_700_000_200.0)
    assert again["taskDefinition"] == reply


def test_deregistering_needs_a_revision_that_exists(account: Account) -> None:
    account.register()
    before = account.records()
    for text in ("web", "web:9"):
        with pytest.raises(AWSError) as caught:
            account.do("DeregisterTaskDefinition", taskDefinition=text)
        assert caught.value.code == "ClientException"
    assert account.records() == before


def test_deleting_takes_inactive_revisions_and_says_why_not_others(account: Account) -> None:
    account.register()
    account.register()
    account.do("DeregisterTaskDefinition", taskDefinition="web:1")
    reply = account.do("DeleteTaskDefinitions", taskDefinitions=["web:1", arn("web:2"), "web:3"], now=1_700_000_300.0)
    (deleted,) = reply["taskDefinitions"]
    assert deleted["taskDefinitionArn"] == arn("web:1")
    assert deleted["status"] == "DELETE_IN_PROGRESS"
    assert deleted["deleteRequestedAt"] == 1_700_000_300.0
    assert [failure["arn"] for failure in reply["failures"]] == [arn("web:2"), "web:3"]
    assert "still in ACTIVE status" in reply["failures"][0]["reason"]
    assert "does not exist" in reply["failures"][1]["reason"]
    again = account.do("DeleteTaskDefinitions", taskDefinitions=["web:1"], now=1_700_000_400.0)
    assert again == {"taskDefinitions": [deleted], "failures": []}


@pytest.mark.parametrize("references", [[], ["web"], [f"web:{n}" for n in range(1, 12)]])
def test_deleting_refuses_calls_as_a_whole(account: Account, references: list[str]) -> None:
    account.register()
    account.do("DeregisterTaskDefinition", taskDefinition="web:1")
    before = account.records()
    with pytest.raises(AWSError) as caught:
        account.do("DeleteTaskDefinitions", taskDefinitions=references)
    assert caught.value.code == "InvalidParameterException"
    assert account.records() == before


def test_numbers_of_forgotten_revisions_are_not_given_again(account: Account) -> None:
    account.register()
    with account.state.transaction() as tx:
        for record in list(account.state.task_definitions):
            tx.delete(record)
    assert account.do("ListTaskDefinitionFamilies")["families"] == []
    assert account.register() == arn("web:2")


def test_lists_are_in_natural_order_and_filtered(account: Account) -> None:
    for _ in range(11):
        account.register("b")
    account.register("a")
    account.register("ba")
    account.do("DeregisterTaskDefinition", taskDefinition="b:10")
    in_order = [arn("a:1"), *(arn(f"b:{n}") for n in (*range(1, 10), 11)), arn("ba:1")]
    assert account.do("ListTaskDefinitions")["taskDefinitionArns"] == in_order
    assert account.do("ListTaskDefinitions", sort="DESC")["taskDefinitionArns"] == in_order[::-1]
    assert account.do("ListTaskDefinitions", familyPrefix="b")["taskDefinitionArns"] == in_order[1:-1]
    assert account.do("ListTaskDefinitions", status="INACTIVE")["taskDefinitionArns"] == [arn("b:10")]
    assert account.do("ListTaskDefinitions", status="DELETE_IN_PROGRESS")["taskDefinitionArns"] == []


@pytest.mark.parametrize("sort", ["ASC", "DESC"])
def test_pages_give_everything_once(account: Account, sort: str) -> None:
    for _ in range(12):
        account.register()
    whole = account.do("ListTaskDefinitions", sort=sort)["taskDefinitionArns"]
    pages: list[str] = []
    token: str | None = None
    while True:
        more = {"nextToken": token} if token else {}
        reply = account.do("ListTaskDefinitions", sort=sort, maxResults=5, **more)
        pages += reply["taskDefinitionArns"]
        token = reply.get("nextToken")
        if token is None:
            break
    assert pages == whole
    assert len(pages) == 12


def test_families_by_status_and_prefix(account: Account) -> None:
    for family in ("web-a", "web-b", "job"):
        account.register(family)
    account.do("DeregisterTaskDefinition", taskDefinition="web-b:1")
    families = {
        status: account.do("ListTaskDefinitionFamilies", **({"status": status} if status else {}))["families"]
        for status in ("", "ALL", "ACTIVE", "INACTIVE")
    }
    every = ["job", "web-a", "web-b"]
    assert families == {"": every, "ALL": every, "ACTIVE": ["job", "web-a"], "INACTIVE": ["web-b"]}
    assert account.do("ListTaskDefinitionFamilies", familyPrefix="web")["families"] == ["web-a", "web-b"]
