"""Logs Insights through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import wait_for

from openecs.clock import SystemClock


@pytest.fixture
def logs(fake: Any) -> Any:
    return fake.client("logs")


@pytest.fixture
def groups(logs: Any, name: str) -> list[str]:
    """Two groups with three events of JSON each, one after the other by turns."""
    found = [f"/{name}/a", f"/{name}/b"]
    now = round(SystemClock().now() * 1000)
    for offset, group in enumerate(found):
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        events = [
            {
                "timestamp": now - 10_000 + 1000 * (2 * number + offset),
                "message": json.dumps({"n": 2 * number + offset}),
            }
            for number in range(3)
        ]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    return found


def query(logs: Any, groups: list[str], text: str, **members: Any) -> list[dict[str, str]]:
    now = round(SystemClock().now())
    started = logs.start_query(
        logGroupNames=groups, startTime=now - 600, endTime=now + 60, queryString=text, **members
    )["queryId"]
    return rows(ended(logs, started))


def ended(logs: Any, query_id: str) -> dict[str, Any]:
    def result() -> dict[str, Any] | None:
        found = logs.get_query_results(queryId=query_id)
        return found if found["status"] not in ("Scheduled", "Running") else None

    return wait_for(result, what="the query ends")


def rows(result: dict[str, Any]) -> list[dict[str, str]]:
    assert result["status"] == "Complete"
    return [{field["field"]: field["value"] for field in row} for row in result["results"]]


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_events_of_several_groups_come_newest_first(logs: Any, groups: list[str]) -> None:
    found = query(logs, groups, "fields n, @log")
    assert [row["n"] for row in found] == ["5", "4", "3", "2", "1", "0"]
    assert found[0]["@log"].endswith(groups[1])
    assert [row["n"] for row in query(logs, groups, "fields n | limit 2")] == ["5", "4"]
    assert [row["n"] for row in query(logs, groups, "fields n", limit=3)] == ["5", "4", "3"]
    assert query(logs, groups[:1], "stats sum(n) as total") == [{"total": "6"}]


def test_a_result_leads_to_its_event(logs: Any, groups: list[str]) -> None:
    (row,) = query(logs, groups, "filter n = 3")
    record = logs.get_log_record(logRecordPointer=row["@ptr"])["logRecord"]
    assert (record["n"], record["@logStream"], record["@message"]) == ("3", "s", '{"n": 3}')
    fields = logs.get_log_group_fields(logGroupName=groups[0])["logGroupFields"]
    assert {"name": "n", "percent": 100} in fields


def test_statistics_and_the_list_of_queries(logs: Any, groups: list[str]) -> None:
    now = round(SystemClock().now())
    text = "filter n > 1 | sort n asc"
    started = logs.start_query(logGroupNames=groups, startTime=now - 600, endTime=now + 60, queryString=text)["queryId"]
    statistics = ended(logs, started)["statistics"]
    assert (statistics["recordsScanned"], statistics["recordsMatched"]) == (6.0, 4.0)
    listed = logs.describe_queries(logGroupName=groups[0], status="Complete")["queries"]
    assert [(one["queryId"], one["queryString"], one["status"]) for one in listed] == [(started, text, "Complete")]
    counted = logs.start_query(
        logGroupNames=groups, startTime=now - 600, endTime=now + 60, queryString="filter n > 1 | stats count(*)"
    )["queryId"]
    assert ended(logs, counted)["statistics"]["recordsMatched"] == 4.0
    assert refusal(logs.stop_query, queryId=started)[0] == "InvalidParameterException"


def test_saved_queries(logs: Any, name: str) -> None:
    saved = logs.put_query_definition(name=f"{name}/one", queryString="fields @message", logGroupNames=["/x"])
    definition = saved["queryDefinitionId"]
    logs.put_query_definition(queryDefinitionId=definition, name=f"{name}/two", queryString="limit 1")
    (shown,) = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
    assert (shown["name"], shown["queryString"], shown["queryDefinitionId"]) == (f"{name}/two", "limit 1", definition)
    assert logs.delete_query_definition(queryDefinitionId=definition)["success"]
    assert refusal(logs.delete_query_definition, queryDefinitionId=definition)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("MalformedQueryException", {"queryString": "nonsense"}),
        ("ResourceNotFoundException", {"logGroupNames": ["/none"]}),
        ("InvalidParameterException", {"endTime": 1}),
        ("InvalidParameterException", {"queryLanguage": "SQL"}),
        ("InvalidParameterException", {"logGroupName": "/x"}),
    ],
)
def test_queries_that_are_refused(logs: Any, groups: list[str], code: str, changes: dict[str, Any]) -> None:
    request = {"logGroupNames": groups, "startTime": 10, "endTime": 20, "queryString": "limit 1", **changes}
    assert refusal(logs.start_query, **request)[0] == code


def test_an_unknown_query(logs: Any) -> None:
    assert refusal(logs.get_query_results, queryId="x" * 36)[0] == "ResourceNotFoundException"
