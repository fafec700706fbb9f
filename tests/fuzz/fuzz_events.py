"""A small world of EventBridge for fuzzing, and one sound request for each of its operations."""

from __future__ import annotations

from typing import Any

from fuzz_plane import ACCOUNT, REGION, Plane

SERVICE = "events"
BASE = f"arn:aws:events:{REGION}:{ACCOUNT}:"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:group"
TAG = {"Key": "k", "Value": "v"}
PATTERN = '{"source": ["me", {"prefix": "a"}], "detail": {"n": [{"numeric": [">", 1]}]}}'
BASIC = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}


class Happenings:
    """Things of EventBridge that requests can name."""

    def __init__(self, plane: Plane) -> None:
        for name in ("bus", "spare"):
            plane.must(SERVICE, "CreateEventBus", Name=name)
        self.bus = f"{BASE}event-bus/bus"
        plane.must(
            SERVICE, "PutPermission", EventBusName="bus", Action="events:PutEvents", Principal="*", StatementId="s"
        )
        for name in ("rule", "bare"):
            plane.must(SERVICE, "PutRule", Name=name, EventPattern=PATTERN, Tags=[TAG])
        plane.must(SERVICE, "PutTargets", Rule="rule", Targets=[{"Id": "t", "Arn": GROUP}])
        for name in ("archive", "unused"):
            plane.must(SERVICE, "CreateArchive", ArchiveName=name, EventSourceArn=self.bus)
        plane.must(SERVICE, "StartReplay", ReplayName="replay", **self._replay())
        self.connection = plane.must(
            SERVICE, "CreateConnection", Name="connection", AuthorizationType="BASIC", AuthParameters=BASIC
        )["ConnectionArn"]
        self.destination = plane.must(SERVICE, "CreateApiDestination", Name="destination", **self._endpoint())[
            "ApiDestinationArn"
        ]

    def _replay(self) -> dict[str, Any]:
        return {
            "EventSourceArn": f"{BASE}archive/archive",
            "EventStartTime": 0,
            "EventEndTime": 10,
            "Destination": {"Arn": self.bus},
        }

    def _endpoint(self) -> dict[str, Any]:
        return {
            "ConnectionArn": self.connection,
            "InvocationEndpoint": "http://127.0.0.1:9/x/*",
            "HttpMethod": "POST",
            "InvocationRateLimitPerSecond": 5,
        }

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        return {
            "EventBusName": ["default", "bus", self.bus],
            "Rule": ["rule", "bare"],
            "ArchiveName": ["archive", "unused"],
            "ReplayName": ["replay"],
            "EventSourceArn": [self.bus, f"{BASE}archive/archive"],
            "ConnectionArn": [self.connection],
            "TargetArn": [GROUP],
            "ResourceARN": [f"{BASE}rule/rule", self.bus],
            "EventPattern": [PATTERN, "{}", '{"$or": [{"a": [1]}, {"b": [null]}]}'],
            "StatementId": ["s"],
            "Arn": [GROUP, self.bus, self.destination],
        }

    def sound(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that is answered with 200."""
        page = {"Limit": 1}
        event = (
            '{"id": "1", "account": "a", "source": "me", "time": "t", "region": "r", "resources": [], '
            '"detail-type": "d", "detail": {"n": 2}}'
        )
        target = {
            "Id": "u",
            "Arn": GROUP,
            "InputTransformer": {"InputPathsMap": {"a": "$.detail.a[0]"}, "InputTemplate": '{"message": <a>}'},
            "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": GROUP},
        }
        entry = {"Source": "me", "DetailType": "d", "Detail": '{"n": 2}', "Resources": ["a"], "Time": 1}
        return {
            "CreateEventBus": {"Name": "more", "Description": "d", "Tags": [TAG]},
            "UpdateEventBus": {"Name": "bus", "Description": "d"},
            "DescribeEventBus": {"Name": "bus"},
            "ListEventBuses": page,
            "DeleteEventBus": {"Name": "spare"},
            "PutPermission": {"Action": "events:PutEvents", "Principal": "123456789012", "StatementId": "t"},
            "RemovePermission": {"EventBusName": "bus", "StatementId": "s"},
            "PutRule": {"Name": "new", "EventPattern": PATTERN, "Tags": [TAG]},
            "DescribeRule": {"Name": "rule"},
            "ListRules": {**page, "NamePrefix": "r"},
            "ListRuleNamesByTarget": {"TargetArn": GROUP},
            "EnableRule": {"Name": "rule"},
            "DisableRule": {"Name": "rule"},
            "DeleteRule": {"Name": "bare"},
            "PutTargets": {"Rule": "rule", "Targets": [target]},
            "RemoveTargets": {"Rule": "rule", "Ids": ["t"]},
            "ListTargetsByRule": {"Rule": "rule"},
            "PutEvents": {"Entries": [entry]},
            "TestEventPattern": {"EventPattern": PATTERN, "Event": event},
            "CreateArchive": {"ArchiveName": "new", "EventSourceArn": self.bus, "RetentionDays": 1},
            "UpdateArchive": {"ArchiveName": "archive", "EventPattern": PATTERN},
            "DescribeArchive": {"ArchiveName": "archive"},
            "ListArchives": page,
            "DeleteArchive": {"ArchiveName": "unused"},
            "StartReplay": {"ReplayName": "new", **self._replay()},
            "DescribeReplay": {"ReplayName": "replay"},
            "ListReplays": page,
            "CancelReplay": {"ReplayName": "replay"},
            "CreateConnection": {"Name": "new", "AuthorizationType": "BASIC", "AuthParameters": BASIC},
            "UpdateConnection": {"Name": "connection", "Description": "d"},
            "DescribeConnection": {"Name": "connection"},
            "ListConnections": page,
            "DeauthorizeConnection": {"Name": "connection"},
            "DeleteConnection": {"Name": "connection"},
            "CreateApiDestination": {"Name": "new", **self._endpoint()},
            "UpdateApiDestination": {"Name": "destination", "HttpMethod": "PUT"},
            "DescribeApiDestination": {"Name": "destination"},
            "ListApiDestinations": page,
            "DeleteApiDestination": {"Name": "destination"},
            "TagResource": {"ResourceARN": f"{BASE}rule/rule", "Tags": [TAG]},
            "UntagResource": {"ResourceARN": f"{BASE}rule/rule", "TagKeys": ["k"]},
            "ListTagsForResource": {"ResourceARN": f"{BASE}rule/rule"},
        }
