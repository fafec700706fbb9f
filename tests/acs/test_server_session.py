from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.acs.session import (
    DELIVERIES,
    HEARTBEAT_AFTER,
    REDELIVER_AFTER,
    SILENT_AFTER,
    WINDOW,
    Acknowledged,
    AgentSession,
    SequenceNumbers,
    StopCandidates,
)
from openecs.ids import SeededIds

CLUSTER, INSTANCE = "arn:cluster/default", "arn:container-instance/default/1"


def session(numbers: SequenceNumbers | None = None) -> AgentSession:
    return AgentSession(
        cluster_arn=CLUSTER,
        container_instance_arn=INSTANCE,
        ids=SeededIds(),
        numbers=numbers or SequenceNumbers(),
        now=0.0,
    )


def said(frame: str) -> Any:
    return m.decode(frame, m.TO_AGENT)


def ack(frame: str) -> str:
    return m.encode(m.AckRequest(cluster=CLUSTER, container_instance=INSTANCE, message_id=said(frame).message_id))


def test_a_payload_is_one_task_and_is_acknowledged_once() -> None:
    s = session()
    assert s.needs("t1", "RUNNING")
    frame = s.payload(tp.TaskPayload(arn="t1"), 1.0)
    payload = said(frame)
    assert isinstance(payload, m.PayloadMessage)
    assert (payload.cluster_arn, payload.container_instance_arn) == (CLUSTER, INSTANCE)
    assert [t.arn for t in payload.tasks] == ["t1"]
    assert not s.needs("t1", "RUNNING")
    assert s.needs("t1", "STOPPED")
    assert s.receive(ack(frame), 2.0) == Acknowledged("t1", "RUNNING")
    assert s.receive(ack(frame), 2.0) is None


def test_only_so_many_payloads_wait_for_their_acknowledgement() -> None:
    s = session()
    frames = [s.payload(tp.TaskPayload(arn=f"t{number}"), 1.0) for number in range(WINDOW)]
    assert s.room == 0
    s.receive(ack(frames[0]), 2.0)
    assert s.room == 1
    # A task that is over needs no acknowledgement any more.
    s.forget("t5")
    assert s.room == 2


def test_numbers_only_grow_over_manifests_payloads_and_connections() -> None:
    numbers = SequenceNumbers()
    first, second = session(numbers), session(numbers)
    seen = [
        said(first.manifest([m.ManifestTask("t1")], 5.0)).timeline,
        said(first.payload(tp.TaskPayload(arn="t1"), 5.0)).seq_num,
        said(second.manifest([], 4.0)).timeline,
        said(second.payload(tp.TaskPayload(arn="t1"), 6.0)).seq_num,
    ]
    assert seen == sorted(set(seen))
    # A control plane that starts later goes on above, because numbers follow the clock.
    assert SequenceNumbers().next(7.0) > seen[-1]


def test_what_is_not_acknowledged_is_sent_again_a_few_times_only() -> None:
    s = session()
    first = said(s.payload(tp.TaskPayload(arn="t1"), 0.0))
    now, deliveries = 0.0, 1
    while s.deadline() <= now + REDELIVER_AFTER:
        assert s.tick(s.deadline() - 0.001) == []
        now = s.deadline()
        for frame in s.tick(now):
            message = said(frame)
            if isinstance(message, m.PayloadMessage):
                assert message.message_id == first.message_id
                assert message.tasks == first.tasks
                assert message.seq_num > first.seq_num
                deliveries += 1
    assert deliveries == DELIVERIES
    assert not s.needs("t1", "RUNNING")


def test_a_newer_order_takes_the_place_of_an_unacknowledged_one() -> None:
    s = session()
    start = s.payload(tp.TaskPayload(arn="t1"), 0.0)
    stop = s.payload(tp.TaskPayload(arn="t1", desired_status="STOPPED"), 1.0)
    assert s.receive(ack(start), 2.0) is None
    assert s.receive(ack(stop), 2.0) == Acknowledged("t1", "STOPPED")
    assert s.tick(2.0 + REDELIVER_AFTER) == []


def test_a_finished_task_is_not_sent_again() -> None:
    s = session()
    s.payload(tp.TaskPayload(arn="t1"), 0.0)
    s.forget("t1")
    assert s.tick(REDELIVER_AFTER + 1) == []
    assert s.told("t1") is None


def test_heartbeats_fill_the_silence() -> None:
    s = session()
    assert s.tick(HEARTBEAT_AFTER - 1) == []
    assert s.deadline() == HEARTBEAT_AFTER
    [frame] = s.tick(HEARTBEAT_AFTER)
    assert isinstance(said(frame), m.HeartbeatMessage)
    assert said(frame).message_id
    assert s.deadline() == 2 * HEARTBEAT_AFTER
    assert HEARTBEAT_AFTER <= 50


def test_an_agent_that_answers_nothing_is_silent() -> None:
    s = session()
    s.receive(m.encode(m.HeartbeatAckRequest(message_id="x")), 10.0)
    assert not s.silent(10.0 + SILENT_AFTER - 1)
    assert s.silent(10.0 + SILENT_AFTER)


def test_stop_candidates_and_consent() -> None:
    s = session()
    manifest = said(s.manifest([], 1.0))
    frame = m.encode(
        m.TaskStopVerificationMessage(
            message_id=manifest.message_id, stop_candidates=(m.ManifestTask("t9", desired_status="STOPPED"),)
        )
    )
    event = s.receive(frame, 2.0)
    assert event == StopCandidates(manifest.message_id, ("t9",))
    consent = said(s.confirm_stop(manifest.message_id, [m.ManifestTask("t9", desired_status="STOPPED")], 3.0))
    assert isinstance(consent, m.TaskStopVerificationAck)
    assert consent.message_id == manifest.message_id
    assert [t.task_arn for t in consent.stop_tasks] == ["t9"]


def test_credentials_are_remembered_until_the_task_is_over() -> None:
    s = session()
    message = said(
        s.credentials("t1", CLUSTER, "ASIA1", tp.RoleCredentials(credentials_id="c", role_type="TaskExecution"), 1.0)
    )
    assert isinstance(message, m.IAMRoleCredentialsMessage)
    assert (message.task_arn, message.role_type, message.role_credentials.credentials_id) == (
        "t1",
        "TaskExecution",
        "c",
    )
    assert s.has_key("t1", "ASIA1")
    assert not s.has_key("t1", "ASIA2")
    s.forget("t1")
    assert not s.has_keys("t1")


@pytest.mark.parametrize("frame", ["", "x", "{}", '{"type":"AckRequest","message":{"messageId":1}}', b"\xff\xfe"])
def test_what_is_no_message_raises(frame: str | bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        session().receive(frame, 1.0)


def test_unknown_messages_are_ignored() -> None:
    assert session().receive('{"type":"SomethingNew","message":{"a":1}}', 1.0) is None
