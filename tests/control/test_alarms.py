"""Metric alarms at work: evaluated in time, written only when something changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from alarm_kit import KEY, POLICY, TOPIC, AlarmWorld
from control_kit import REGION

from openecs.control.alarm_data import Values
from openecs.control.virtual_time import VirtualTime
from openecs.metrics.metric import Datum
from openecs.model.alarm import AlarmMuteRule
from openecs.shapes import cloudwatch as cw


@pytest.fixture
async def alarms(time: VirtualTime) -> AsyncIterator[AlarmWorld]:
    async with AlarmWorld(time) as world:
        yield world


async def minutes(alarms: AlarmWorld, *values: float | None) -> None:
    """Let a minute pass for each value, measured at its beginning."""
    for value in values:
        if value is not None:
            alarms.measure(value)
        await alarms.time.advance(60)


async def test_a_threshold_is_crossed_and_left(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(ok_actions=(TOPIC,)))
    await minutes(alarms, 1.0, 1.0)
    assert alarms.alarm().state == "OK"
    await minutes(alarms, 9.0, 9.0)
    alarm = alarms.alarm()
    assert alarm.state == "ALARM"
    assert alarm.state_reason.startswith("Threshold Crossed: 1 datapoint [9.0 (")
    assert json.loads(alarm.state_reason_data)["evaluatedDatapoints"][0]["sampleCount"] == 1.0
    assert alarm.state_changed_at == alarm.state_updated_at > alarm.configured_at
    assert [message["Subject"] for message in alarms.posted] == [
        'OK: "errors" in eu-west-1',
        'ALARM: "errors" in eu-west-1',
    ]
    assert await alarms.history() == [
        'Alarm "errors" created',
        "Alarm updated from INSUFFICIENT_DATA to OK",
        f"Successfully executed action {TOPIC}",
        "Alarm updated from OK to ALARM",
        f"Successfully executed action {TOPIC}",
    ]


async def test_evaluations_without_news_write_nothing(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm())
    await minutes(alarms, 9.0, 9.0)
    revision, alarm = alarms.state.store.revision, alarms.alarm()
    await minutes(alarms, *[9.0] * 30)
    assert alarms.state.store.revision == revision
    assert alarms.alarm() is alarm


async def test_an_alarm_without_data_stays_as_it_was_made(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm())
    await minutes(alarms, None, None, None)
    assert (alarms.alarm().state, alarms.alarm().state_reason) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    assert alarms.posted == []


async def test_data_that_stop(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm("a"), alarms.metric_alarm("b", treat_missing_data="breaching"))
    await minutes(alarms, 1.0, 1.0, *[None] * 5)
    assert alarms.alarm("a").state == "INSUFFICIENT_DATA"
    assert alarms.alarm("a").state_reason == "Insufficient Data: 1 datapoint was unknown."
    assert alarms.alarm("b").state == "ALARM"


async def test_set_alarm_state_holds_until_the_next_evaluation(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm())
    await minutes(alarms, 1.0, 1.0)
    alarms.measure(1.0)
    alarms.sound("errors", "ALARM")
    await alarms.time.advance(5)
    assert (alarms.alarm().state, alarms.alarm().state_reason) == ("ALARM", "test")
    assert len(alarms.posted) == 1
    await alarms.time.advance(60)
    assert alarms.alarm().state == "OK"


async def test_long_periods_slide_with_the_minutes(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(period=300))
    await minutes(alarms, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0)
    await alarms.time.run_until(lambda: alarms.alarm().state == "ALARM", within=60)


async def test_short_periods_are_evaluated_as_often(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(period=10))
    alarms.metrics.add([Datum(KEY, alarms.time.now(), (9.0,), (1.0,), resolution=1)])
    await alarms.time.run_until(lambda: alarms.alarm().state == "ALARM", within=15)


async def test_units_are_apart(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm("c", unit="Count"), alarms.metric_alarm("n", unit="None"))
    await minutes(alarms, 9.0, 9.0)
    assert (alarms.alarm("c").state, alarms.alarm("n").state) == ("INSUFFICIENT_DATA", "ALARM")


async def test_percentiles_of_few_samples_change_nothing_if_asked_so(alarms: AlarmWorld) -> None:
    shared = {"statistic": None, "extended_statistic": "p90"}
    alarms.put(
        alarms.metric_alarm("some", **shared),
        alarms.metric_alarm("many", **shared, evaluate_low_sample_count_percentile="ignore"),
    )
    await minutes(alarms, 9.0, 9.0)
    assert (alarms.alarm("some").state, alarms.alarm("many").state) == ("ALARM", "INSUFFICIENT_DATA")
    alarms.metrics.add([Datum(KEY, alarms.time.now(), (9.0,), (100.0,))])
    await alarms.time.advance(120)
    assert alarms.alarm("many").state == "ALARM"


async def test_ranks_are_no_percentiles(alarms: AlarmWorld) -> None:
    shared = {"statistic": None, "extended_statistic": "PR(5:)", "evaluate_low_sample_count_percentile": "ignore"}
    alarms.put(alarms.metric_alarm(**shared))
    await minutes(alarms, 9.0, 9.0)
    assert alarms.alarm().state == "ALARM"


async def test_metric_math(alarms: AlarmWorld) -> None:
    query = cw.MetricDataQuery(id="e", expression="m1 * 2", return_data=True)
    metric = cw.Metric(namespace="App", metric_name="Errors")
    stat = cw.MetricDataQuery(
        id="m1", metric_stat=cw.MetricStat(metric=metric, period=60, stat="Sum"), return_data=False
    )
    alarms.put(
        alarms.metric_alarm(
            metrics=(query, stat), period=None, namespace=None, metric_name=None, dimensions=None, statistic=None
        )
    )
    at = alarms.time.now() // 60 * 60
    alarms.math = Values({at: 9.0})
    await alarms.time.run_until(lambda: alarms.alarm().state == "ALARM", within=90)
    assert "statistic" not in json.loads(alarms.alarm().state_reason_data)
    alarms.math = Values({at: 9.0, at + 60: 9.0}, partial=True)
    await alarms.time.run_until(lambda: alarms.alarm().evaluation_state == "PARTIAL_DATA", within=90)
    alarms.math = Values({}, error="there is no m1")
    await alarms.time.run_until(lambda: alarms.alarm().evaluation_state == "EVALUATION_ERROR", within=90)
    assert alarms.alarm().state_reason == "there is no m1"


async def test_actions_that_are_off(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(actions_enabled=False))
    await minutes(alarms, 9.0, 9.0)
    assert alarms.alarm().state == "ALARM"
    assert alarms.posted == []


async def test_scaling_policies_are_told_in_the_history(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(alarm_actions=(POLICY,)))
    await minutes(alarms, 9.0, 9.0)
    assert f"Successfully executed action {POLICY}" in await alarms.history()


async def test_messages_are_sent_again_until_they_are_taken(alarms: AlarmWorld) -> None:
    alarms.refuses = 3
    alarms.put(alarms.metric_alarm())
    alarms.sound("errors", "ALARM")
    await alarms.time.run_until(lambda: len(alarms.posted) == 1, within=60)
    message = json.loads(alarms.posted[0]["Message"])
    assert (message["AlarmName"], message["OldStateValue"], message["NewStateValue"]) == (
        "errors",
        "INSUFFICIENT_DATA",
        "ALARM",
    )
    assert message["Trigger"]["Dimensions"] == [{"value": "web", "name": "Service"}]
    await alarms.time.run_until(lambda: len(alarms.state.alarm_notifications) == 0)


async def test_messages_that_nobody_takes_are_given_up(alarms: AlarmWorld) -> None:
    alarms.refuses = 10**6
    alarms.put(alarms.metric_alarm(treat_missing_data="ignore"))
    alarms.sound("errors", "ALARM")
    await alarms.time.run_until(lambda: len(alarms.state.alarm_notifications) == 0, within=4000)
    last = (await alarms.history())[-1]
    assert last == f"Failed to execute action {TOPIC}. Received error: nobody answers"


async def test_an_alarm_that_is_deleted_is_forgotten(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm())
    with alarms.state.transaction() as tx:
        tx.delete(alarms.alarm())
    await minutes(alarms, 9.0, 9.0)
    assert len(alarms.state.metric_alarms) == 0
    assert (await alarms.history())[-1] == 'Alarm "errors" deleted'


def mute_rule(alarms: AlarmWorld, minutes: int) -> AlarmMuteRule:
    """A rule that mutes from the minute after the next on."""
    begins = datetime.fromtimestamp(alarms.time.now() // 60 * 60 + 120, UTC)
    schedule = cw.Schedule(expression=f"at({begins:%Y-%m-%dT%H:%M})", duration=f"PT{minutes}M")
    return AlarmMuteRule(
        arn="arn:mute", region=REGION, name="m", rule=cw.Rule(schedule=schedule), targets=("errors",), updated_at=0.0
    )


async def test_mute_rules_hold_back_what_follows_when_they_end(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(treat_missing_data="ignore"))
    with alarms.state.transaction() as tx:
        tx.put(mute_rule(alarms, 10))
    await minutes(alarms, 1.0, 1.0)
    assert alarms.alarm().state == "OK"
    await minutes(alarms, 9.0, 9.0, 9.0)
    assert (alarms.alarm().state, alarms.alarm().muted) == ("ALARM", True)
    assert alarms.posted == []
    await alarms.time.advance(600)
    assert not alarms.alarm().muted
    assert [message["Subject"] for message in alarms.posted] == ['ALARM: "errors" in eu-west-1']


async def test_deleting_a_mute_rule_lets_actions_follow_at_once(alarms: AlarmWorld) -> None:
    alarms.put(alarms.metric_alarm(treat_missing_data="ignore"))
    rule = mute_rule(alarms, 600)
    with alarms.state.transaction() as tx:
        tx.put(rule)
    await minutes(alarms, None, None, 9.0, 9.0)
    assert (alarms.alarm().state, alarms.posted) == ("ALARM", [])
    with alarms.state.transaction() as tx:
        tx.delete(rule)
    await alarms.time.advance(1)
    assert len(alarms.posted) == 1
