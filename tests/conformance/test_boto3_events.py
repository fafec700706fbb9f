"""EventBridge through boto3: rules, targets and what is delivered, on the fake engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

ACCOUNT = "000000000000"


@pytest.fixture
def events(fake: Installation) -> Any:
    return fake.client("events")


@pytest.fixture
def logs(fake: Installation) -> Any:
    return fake.client("logs")


@pytest.fixture
def group(logs: Any, name: str) -> str:
    """The name of a log group of the test's own."""
    logs.create_log_group(logGroupName=f"/aws/events/{name}")
    return f"/aws/events/{name}"


def group_arn(group: str) -> str:
    return f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}"


def entries(logs: Any, group: str, count: int) -> list[Any]:
    """The entries of a group, as soon as there are so many."""

    def found() -> list[Any] | None:
        messages = [json.loads(e["message"]) for e in logs.filter_log_events(logGroupName=group)["events"]]
        return messages if len(messages) >= count else None

    result: list[Any] = wait_for(found, what=f"{count} entries in {group}")
    return result


def test_a_stopped_task_starts_a_clean_up_task_and_is_in_a_log_group(
    fake: Installation, events: Any, logs: Any, ecs: Any, name: str, group: str
) -> None:
    cluster = ecs.describe_clusters(clusters=["default"])["clusters"][0]["clusterArn"]
    for family in (name, f"{name}-clean"):
        ecs.register_task_definition(
            family=family, containerDefinitions=[{"name": "c", "image": "busybox", "memory": 16}]
        )
    pattern = {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {"lastStatus": ["STOPPED"], "group": [f"family:{name}"], "stoppedReason": [{"prefix": "enough"}]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    clean_up = {
        "Id": "clean",
        "Arn": cluster,
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events",
        "EcsParameters": {"TaskDefinitionArn": f"{name}-clean", "Group": name, "Tags": [{"Key": "a", "Value": "b"}]},
        "InputTransformer": {
            "InputPathsMap": {"task": "$.detail.taskArn"},
            "InputTemplate": '{"containerOverrides": [{"name": "c", "command": ["rm", <task>]}]}',
        },
    }
    events.put_targets(Rule=name, Targets=[clean_up, {"Id": "log", "Arn": group_arn(group)}])
    task = ecs.run_task(taskDefinition=name)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(tasks=[task], WaiterConfig={"Delay": 0, "MaxAttempts": 3000})
    ecs.stop_task(task=task, reason="enough of it")

    (event,) = entries(logs, group, 1)
    detail = event["detail"]
    assert (event["source"], event["detail-type"], event["resources"]) == ("aws.ecs", "ECS Task State Change", [task])
    assert (detail["taskArn"], detail["lastStatus"], detail["stopCode"]) == (task, "STOPPED", "UserInitiated")
    shown = ecs.describe_tasks(tasks=[task])["tasks"][0]
    assert detail["version"] == shown["version"]
    stopped_at = shown["stoppedAt"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert detail["stoppedAt"] == stopped_at
    (started,) = wait_for(lambda: ecs.list_tasks(family=f"{name}-clean")["taskArns"], what="the clean-up task")
    found = ecs.describe_tasks(tasks=[started], include=["TAGS"])["tasks"][0]
    assert (found["startedBy"], found["group"]) == (f"events-rule/{name}", name)
    assert found["tags"] == [{"key": "a", "value": "b"}]
    assert found["overrides"]["containerOverrides"] == [{"name": "c", "command": ["rm", task]}]
    ecs.stop_task(task=started)


def test_events_of_callers_reach_the_rules_that_match_them(events: Any, logs: Any, name: str, group: str) -> None:
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name], "detail": {"n": [{"numeric": [">", 1]}]}}))
    events.put_targets(Rule=name, Targets=[{"Id": "log", "Arn": group_arn(group)}])
    reply = events.put_events(
        Entries=[
            *({"Source": name, "DetailType": "d", "Detail": json.dumps({"n": n})} for n in (1, 2, 3)),
            {"Source": "aws.mine", "DetailType": "d", "Detail": "{}"},
            {"Source": name, "DetailType": "d", "Detail": "no json"},
            {"Source": name, "Detail": "{}"},
        ]
    )
    assert reply["FailedEntryCount"] == 3
    assert [entry.get("ErrorCode") for entry in reply["Entries"]] == [
        *(None, None, None, "NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument")
    ]
    found = entries(logs, group, 2)
    assert {event["id"] for event in found} == {entry["EventId"] for entry in reply["Entries"][1:3]}
    events.disable_rule(Name=name)
    events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": '{"n":9}'}])
    events.enable_rule(Name=name)
    events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": '{"n":10}'}])
    assert sorted(event["detail"]["n"] for event in entries(logs, group, 3)) == [2, 3, 10]


def test_a_bus_passes_events_on_and_what_cannot_be_delivered_is_a_dead_letter(
    events: Any, logs: Any, name: str, group: str
) -> None:
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "on", "Arn": bus}])
    events.put_rule(Name="lost", EventBusName=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(
        Rule="lost",
        EventBusName=name,
        Targets=[{"Id": "gone", "Arn": group_arn("/aws/events/gone"), "DeadLetterConfig": {"Arn": group_arn(group)}}],
    )
    sent = events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])["Entries"][0]["EventId"]
    (letter,) = entries(logs, group, 1)
    assert letter["body"]["id"] == sent
    assert letter["attributes"]["ERROR_CODE"] == "NO_RESOURCE"
    assert letter["attributes"]["RULE_ARN"].endswith(f":rule/{name}/lost")
    with pytest.raises(ClientError, match="since it has rules"):
        events.delete_event_bus(Name=name)
    with pytest.raises(ClientError, match="since it has targets"):
        events.delete_rule(Name="lost", EventBusName=name)
    events.remove_targets(Rule="lost", EventBusName=name, Ids=["gone"])
    events.delete_rule(Name="lost", EventBusName=name)
    events.delete_event_bus(Name=name)


def test_an_archive_keeps_events_and_a_replay_sends_them_again(
    fake: Installation, events: Any, logs: Any, name: str, group: str
) -> None:
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = {"detail": {"keep": [True]}}
    archive = events.create_archive(ArchiveName=name, EventSourceArn=bus, EventPattern=json.dumps(pattern))
    for keep in (True, False, True):
        entry = {"Source": "s", "DetailType": "d", "Detail": json.dumps({"keep": keep}), "EventBusName": name}
        events.put_events(Entries=[entry])
    wait_for(lambda: events.describe_archive(ArchiveName=name)["EventCount"] == 2, what="two archived events")
    rule = events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps({"replay-name": [name]}))["RuleArn"]
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "log", "Arn": group_arn(group)}])
    now = fake.now() / 1000
    events.start_replay(
        ReplayName=name,
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=now - 600,
        EventEndTime=now + 600,
        Destination={"Arn": bus, "FilterArns": [rule]},
    )
    found = entries(logs, group, 2)
    assert {event["replay-name"] for event in found} == {name}
    wait_for(lambda: events.describe_replay(ReplayName=name)["State"] == "COMPLETED", what="the replay's end")
    # What was replayed is not archived again.
    assert events.describe_archive(ArchiveName=name)["EventCount"] == 2


class Endpoint(ThreadingHTTPServer):
    """An HTTP endpoint that remembers its requests, and refuses the first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(("POST", self.path, dict(self.headers), body))
        answer = b'{"access_token": "t0ken", "expires_in": 60}' if self.path == "/token" else b""
        self.send_response(503 if len(self.server.requests) == 1 and not answer else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_api_destination_gets_authorised_requests_again_until_it_takes_them(
    events: Any, name: str, endpoint: Endpoint
) -> None:
    url = f"http://127.0.0.1:{endpoint.server_address[1]}"
    connection = events.create_connection(
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={
            "ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "s3cret"},
            "InvocationHttpParameters": {
                "QueryStringParameters": [{"Key": "q", "Value": "1 2", "IsValueSecret": True}],
                "BodyParameters": [{"Key": "more", "Value": "m"}],
            },
        },
    )["ConnectionArn"]
    shown = json.dumps(events.describe_connection(Name=name), default=str)
    assert "s3cret" not in shown
    assert "1 2" not in shown
    destination = events.create_api_destination(
        Name=name, ConnectionArn=connection, InvocationEndpoint=f"{url}/a/*", HttpMethod="POST"
    )["ApiDestinationArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    target = {
        "Id": "http",
        "Arn": destination,
        "InputPath": "$.detail",
        "HttpParameters": {"PathParameterValues": ["b c"], "HeaderParameters": {"X-H": "h"}},
    }
    events.put_targets(Rule=name, Targets=[target])
    events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": '{"n":1}'}])
    wait_for(lambda: len(endpoint.requests) == 2, what="the request and its repetition")
    assert endpoint.requests[0][:2] == endpoint.requests[1][:2] == ("POST", "/a/b%20c?q=1+2")
    _, _, headers, body = endpoint.requests[1]
    assert (headers["X-Key"], headers["X-H"]) == ("s3cret", "h")
    assert json.loads(body) == {"n": 1, "more": "m"}


def test_oauth_connections_fetch_their_token(events: Any, name: str, endpoint: Endpoint) -> None:
    url = f"http://127.0.0.1:{endpoint.server_address[1]}"
    oauth = {
        "ClientParameters": {"ClientID": "id", "ClientSecret": "s3cret"},
        "AuthorizationEndpoint": f"{url}/token",
        "HttpMethod": "POST",
    }
    connection = events.create_connection(
        Name=name, AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters={"OAuthParameters": oauth}
    )
    assert connection["ConnectionState"] == "AUTHORIZED"
    assert endpoint.requests[0][3] == b"grant_type=client_credentials&client_id=id&client_secret=s3cret"
    destination = events.create_api_destination(
        Name=name, ConnectionArn=connection["ConnectionArn"], InvocationEndpoint=f"{url}/x", HttpMethod="POST"
    )["ApiDestinationArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "http", "Arn": destination}])
    events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])
    called = wait_for(lambda: [r for r in endpoint.requests if r[1] == "/x"], what="the request")
    assert called[0][2]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"Arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"}, "AWS Lambda functions are no targets"),
        ({"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}, "Amazon SQS queues are no targets"),
        ({"Arn": "arn:aws:logs"}, "Provided Arn is not in correct format"),
        ({"Arn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/default"}, "EcsParameters are required"),
        ({"Input": "{"}, "JSON syntax error in input for target t"),
        ({"Input": "1", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
        ({"InputPath": "detail"}, "InputPath for target t is invalid"),
        ({"InputTransformer": {"InputTemplate": "<a>"}}, "not defined: a"),
        ({"SqsParameters": {}}, "SqsParameters of target t is not supported"),
        (
            {"DeadLetterConfig": {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}},
            "not supported by OpenECS as dead-letter",
        ),
        ({"HttpParameters": {}}, "HttpParameters not valid for target t"),
    ],
)
def test_a_target_that_could_not_be_served_is_refused(events: Any, target: dict[str, Any], why: str) -> None:
    events.put_rule(Name="refusals", EventPattern='{"source": ["x"]}')
    with pytest.raises(ClientError) as raised:
        events.put_targets(Rule="refusals", Targets=[{"Id": "t", "Arn": group_arn("/aws/events/g"), **target}])
    assert why in raised.value.response["Error"]["Message"]
    assert events.list_targets_by_rule(Rule="refusals")["Targets"] == []


def test_rules_are_as_they_were_put(events: Any, name: str) -> None:
    pattern = '{"source": ["a"]}'
    arn = events.put_rule(
        Name=name, EventPattern=pattern, Description="d", State="DISABLED", Tags=[{"Key": "k", "Value": "v"}]
    )["RuleArn"]
    shown = events.describe_rule(Name=name)
    assert (shown["Arn"], shown["EventPattern"], shown["State"], shown["EventBusName"]) == (
        *(arn, pattern, "DISABLED", "default"),
    )
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    events.untag_resource(ResourceARN=arn, TagKeys=["k"])
    events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": group_arn("/aws/events/g")}])
    assert events.list_rule_names_by_target(TargetArn=group_arn("/aws/events/g"))["RuleNames"] == [name]
    events.put_rule(Name=name, ScheduleExpression="rate(5 minutes)")
    again = events.describe_rule(Name=name)
    assert (again["ScheduleExpression"], again["State"], "EventPattern" in again) == (
        "rate(5 minutes)",
        "ENABLED",
        False,
    )
    assert len(events.list_targets_by_rule(Rule=name)["Targets"]) == 1
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == []
    events.remove_targets(Rule=name, Ids=["t"])
    events.delete_rule(Name=name)
    with pytest.raises(events.exceptions.ResourceNotFoundException, match="does not exist on EventBus default"):
        events.describe_rule(Name=name)
    with pytest.raises(ClientError, match="EventPattern or ScheduleExpression must be specified"):
        events.put_rule(Name=name)
    with pytest.raises(ClientError, match="Parameter ScheduleExpression is not valid"):
        events.put_rule(Name=name, ScheduleExpression="rate(5 minute)")
    with pytest.raises(events.exceptions.InvalidEventPatternException, match="Event pattern is not valid"):
        events.put_rule(Name=name, EventPattern='{"source": "a"}')


def test_permissions_are_kept_and_shown(events: Any, name: str) -> None:
    events.create_event_bus(Name=name)
    events.put_permission(EventBusName=name, Action="events:PutEvents", Principal="111122223333", StatementId="one")
    (statement,) = json.loads(events.describe_event_bus(Name=name)["Policy"])["Statement"]
    assert (statement["Sid"], statement["Principal"]) == ("one", {"AWS": "arn:aws:iam::111122223333:root"})
    events.remove_permission(EventBusName=name, StatementId="one")
    assert "Policy" not in events.describe_event_bus(Name=name)
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.remove_permission(EventBusName=name, StatementId="one")
    assert name in [bus["Name"] for bus in events.list_event_buses()["EventBuses"]]


def test_a_pattern_can_be_tried_out(events: Any) -> None:
    event = {
        "id": "1",
        "account": ACCOUNT,
        "source": "s",
        "time": "2020-01-01T00:00:00Z",
        "region": "r",
        "resources": [],
        "detail-type": "d",
        "detail": {"a": 1},
    }
    pattern = '{"detail": {"a": [1]}}'
    assert events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"] is True
    assert events.test_event_pattern(EventPattern='{"x": [1]}', Event=json.dumps(event))["Result"] is False
    with pytest.raises(events.exceptions.InvalidEventPatternException):
        events.test_event_pattern(EventPattern="{}", Event=json.dumps(event))
    with pytest.raises(ClientError, match="The event has no id"):
        events.test_event_pattern(EventPattern=pattern, Event="{}")
