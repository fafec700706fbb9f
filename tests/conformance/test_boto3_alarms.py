"""CloudWatch alarms through boto3 and the AWS CLI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

METRIC = {
    "Namespace": "App",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "Service", "Value": "web"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
POLICY = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:resource/ecs/service/a/b:policyName/c"


@pytest.fixture
def cloudwatch(fake: Installation) -> Any:
    return fake.client("cloudwatch")


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_metric_alarm_from_put_to_delete(cloudwatch: Any, name: str) -> None:
    put = {
        **METRIC,
        "DatapointsToAlarm": 2,
        "AlarmActions": [POLICY],
        "AlarmDescription": "x",
        "TreatMissingData": "ignore",
    }
    cloudwatch.put_metric_alarm(AlarmName=name, **put, Tags=[{"Key": "team", "Value": "a"}])
    cloudwatch.get_waiter("alarm_exists").wait(AlarmNames=[name])
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert {key: alarm[key] for key in put} == put
    assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{name}"
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    assert (alarm["ActionsEnabled"], alarm["OKActions"]) == (True, [])

    cloudwatch.set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="because", StateReasonData=json.dumps({"a": 1})
    )
    cloudwatch.disable_alarm_actions(AlarmNames=[name, "none of this name"])
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name], StateValue="ALARM")["MetricAlarms"]
    assert (alarm["StateReason"], alarm["ActionsEnabled"]) == ("because", False)
    assert alarm["StateTransitionedTimestamp"] == alarm["StateUpdatedTimestamp"]
    cloudwatch.put_metric_alarm(AlarmName=name, **{**put, "Threshold": 6.0})
    (alarm,) = cloudwatch.describe_alarms(ActionPrefix=POLICY[:30], AlarmNamePrefix=name)["MetricAlarms"]
    assert (alarm["StateValue"], alarm["Threshold"], alarm["ActionsEnabled"]) == ("ALARM", 6.0, True)

    shown = cloudwatch.describe_alarms_for_metric(
        Namespace="App", MetricName="Errors", Dimensions=METRIC["Dimensions"], Statistic="Sum"
    )["MetricAlarms"]
    assert name in [alarm["AlarmName"] for alarm in shown]
    assert not cloudwatch.describe_alarms_for_metric(Namespace="App", MetricName="Errors")["MetricAlarms"]

    cloudwatch.delete_alarms(AlarmNames=[name, "none of this name"])
    assert not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    items = cloudwatch.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        f'Alarm "{name}" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Successfully executed action {POLICY}",
        f'Alarm "{name}" updated',
        f'Alarm "{name}" updated',
        f'Alarm "{name}" deleted',
    ]
    change = json.loads(items[1]["HistoryData"])
    assert change["newState"] == {
        "stateValue": "ALARM",
        "stateReason": "because",
        "stateReasonData": {"a": 1},
    }


def test_history_in_pages(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(AlarmName=name, **METRIC)
    for state in ("OK", "ALARM", "OK", "ALARM"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, HistoryItemType="StateUpdate", PaginationConfig={"PageSize": 3}
    )
    told = [[item["HistorySummary"].split()[-1] for item in page["AlarmHistoryItems"]] for page in pages]
    assert told == [["ALARM", "OK", "ALARM"], ["OK"]]
    everything = cloudwatch.describe_alarm_history(HistoryItemType="StateUpdate", MaxRecords=4)["AlarmHistoryItems"]
    assert {item["AlarmName"] for item in everything} == {name}


def test_alarms_in_pages(cloudwatch: Any, name: str) -> None:
    names = [f"{name}-{number}" for number in range(5)]
    for each in names:
        cloudwatch.put_metric_alarm(AlarmName=each, **METRIC)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=name, PaginationConfig={"PageSize": 2})
    assert [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]] == names
    code, _ = refusal(cloudwatch.describe_alarms, NextToken="nonsense")
    assert code == "InvalidNextToken"


def test_composite_alarms(cloudwatch: Any, name: str) -> None:
    child, parent = f"{name}-child", f"{name}-parent"
    cloudwatch.put_metric_alarm(AlarmName=child, **METRIC)
    cloudwatch.put_composite_alarm(AlarmName=parent, AlarmRule=f'ALARM("{child}") OR FALSE')
    cloudwatch.get_waiter("composite_alarm_exists").wait(AlarmNames=[parent], AlarmTypes=["CompositeAlarm"])

    def state() -> str:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[parent], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return str(alarm["StateValue"])

    wait_for(lambda: state() == "OK")
    cloudwatch.set_alarm_state(AlarmName=child, StateValue="ALARM", StateReason="test")
    wait_for(lambda: state() == "ALARM")
    (shown,) = cloudwatch.describe_alarms(ChildrenOfAlarmName=parent)["MetricAlarms"]
    assert shown["AlarmName"] == child
    assert "Threshold" not in shown
    (shown,) = cloudwatch.describe_alarms(ParentsOfAlarmName=child)["CompositeAlarms"]
    assert shown == {"AlarmName": parent, "AlarmArn": shown["AlarmArn"]}
    code, text = refusal(cloudwatch.delete_alarms, AlarmNames=[child])
    assert (code, parent in text) == ("ResourceConflict", True)
    code, text = refusal(cloudwatch.put_composite_alarm, AlarmName=name, AlarmRule="ALARM(nobody)")
    assert code == "ValidationError"
    assert text == "Could not save the composite alarm as alarms [nobody] in the alarm rule do not exist"
    cloudwatch.delete_alarms(AlarmNames=[child, parent])


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"Period": 45}, "ValidationError", "Period must be"),
        ({"Period": 60, "EvaluationPeriods": 1441}, "ValidationError", "more than a day"),
        ({"DatapointsToAlarm": 4}, "ValidationError", "DatapointsToAlarm"),
        ({"ExtendedStatistic": "p99"}, "InvalidParameterCombination", "Exactly one"),
        ({"Statistic": None, "ExtendedStatistic": "p101"}, "ValidationError", "p101"),
        ({"TreatMissingData": "bad"}, "ValidationError", "[breaching, notBreaching, ignore, missing]"),
        ({"Threshold": None}, "ValidationError", "Threshold"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "ValidationError", "anomaly"),
        (
            {"AlarmActions": ["arn:aws:sns:us-east-1:1:t"]},
            "ValidationError",
            "--alarm-topic arn:aws:sns:us-east-1:1:t=",
        ),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "ValidationError", "cannot carry out"),
        ({"Metrics": [{"Id": "e1", "Expression": "1"}]}, "InvalidParameterCombination", "Metrics"),
    ],
)
def test_what_makes_no_alarm(cloudwatch: Any, name: str, change: dict[str, Any], code: str, text: str) -> None:
    given = {key: value for key, value in {**METRIC, **change}.items() if value is not None}
    refused, message = refusal(cloudwatch.put_metric_alarm, AlarmName=name, **given)
    assert (refused, text in message) == (code, True), message
    assert not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]


def query(name: str, expression: str | None = None, *, shown: bool = False, period: int = 60) -> dict[str, Any]:
    if expression is not None:
        return {"Id": name, "Expression": expression, "ReturnData": shown}
    metric = {"Namespace": "App", "MetricName": "Errors"}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}, "ReturnData": shown}


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ([query("m1"), query("e1", "m1 *", shown=True)], "e1"),
        ([query("m1"), query("e1", "m2 * 2", shown=True)], "m2"),
        ([query("m1"), query("e1", "m1 * 2")], "Exactly one"),
        ([query("m1"), query("m2", period=300), query("e1", "m1 + m2", shown=True)], "same period"),
        ([query("m1", shown=True), query("m1")], "unique"),
    ],
)
def test_metric_math_that_makes_no_alarm(cloudwatch: Any, name: str, metrics: list[Any], text: str) -> None:
    settings = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    code, message = refusal(cloudwatch.put_metric_alarm, AlarmName=name, Metrics=metrics, **settings)
    assert (code, text in message) == ("ValidationError", True), message


def test_the_aws_cli_waits_for_alarms(fake: Installation, cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(AlarmName=name, **METRIC)
    fake.aws("cloudwatch", "wait", "alarm-exists", "--alarm-names", name)
    with pytest.raises(ClientError, match="Unknown alarm"):
        cloudwatch.set_alarm_state(AlarmName=f"{name}-not", StateValue="OK", StateReason="x")


def test_mute_rules(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(AlarmName=name, **METRIC)
    schedule = {"Expression": "cron(* * * * *)", "Duration": "PT1H", "Timezone": "Europe/London"}
    targets = {"AlarmNames": [name]}
    cloudwatch.put_alarm_mute_rule(Name=name, Rule={"Schedule": schedule}, MuteTargets=targets)
    cloudwatch.get_waiter("alarm_mute_rule_exists").wait(AlarmMuteRuleName=name)
    rule = cloudwatch.get_alarm_mute_rule(AlarmMuteRuleName=name)
    assert (rule["Rule"], rule["MuteTargets"]) == ({"Schedule": schedule}, targets)
    assert (rule["Status"], rule["MuteType"]) == ("ACTIVE", "RECURRING")
    (shown,) = cloudwatch.list_alarm_mute_rules(AlarmName=name, Statuses=["ACTIVE"])["AlarmMuteRuleSummaries"]
    assert shown["AlarmMuteRuleArn"] == rule["AlarmMuteRuleArn"]
    wrong = {"Schedule": {**schedule, "Duration": "P99D"}}
    assert refusal(cloudwatch.put_alarm_mute_rule, Name="x", Rule=wrong)[0] == "ValidationError"
    for _ in range(2):
        cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName=name)
    assert refusal(cloudwatch.get_alarm_mute_rule, AlarmMuteRuleName=name)[0] == "ResourceNotFoundException"
