"""The agent's side of ACS as a transcript: frames in, calls and answers out."""

from __future__ import annotations

import json

from agent_payloads import CLUSTER, task, task_arn

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.acs.link import AgentSession

INSTANCE = "arn:aws:ecs:us-east-1:111122223333:container-instance/default/1"


class Recorder:
    """A sink that remembers what was asked of it."""

    def __init__(self, running: tuple[str, ...] = ()) -> None:
        self.said: list[tuple[str, str]] = []
        self._running = running

    def accept(self, payload: tp.TaskPayload) -> None:
        self.said.append(("accept", payload.arn))

    def stop(self, arn: str, cluster: str) -> None:
        self.said.append(("stop", arn))

    def running(self) -> tuple[str, ...]:
        return self._running

    def credentials(self, task_arn: str, credentials: tp.RoleCredentials) -> None:
        self.said.append(("credentials", credentials.credentials_id))

    def manifest(self, listed: list[str]) -> None:
        self.said.append(("manifest", ",".join(listed)))

    def heartbeat(self) -> None:
        self.said.append(("heartbeat", ""))


def payload(*tasks: tp.TaskPayload, seq_num: int = 1) -> str:
    return m.encode(
        m.PayloadMessage(
            message_id="p", cluster_arn=CLUSTER, container_instance_arn=INSTANCE, tasks=tasks, seq_num=seq_num
        )
    )


def manifest(*arns: str, timeline: int, message_id: str = "m") -> str:
    return m.encode(
        m.TaskManifestMessage(
            message_id=message_id,
            cluster_arn=CLUSTER,
            container_instance_arn=INSTANCE,
            tasks=tuple(m.ManifestTask(task_arn=arn) for arn in arns),
            timeline=timeline,
        )
    )


def test_stops_come_before_starts_and_the_payload_is_acknowledged_last() -> None:
    sink = Recorder()
    keys = tp.RoleCredentials(credentials_id="c1", expiration="later")
    start = task(number=1, role_credentials=keys)
    answers = AgentSession(sink).receive(payload(start, tp.TaskPayload(arn=task_arn(2), desired_status="STOPPED")))
    assert sink.said == [("stop", task_arn(2)), ("accept", task_arn(1))]
    assert answers == [
        m.IAMRoleCredentialsAckRequest(message_id="p", credentials_id="c1", expiration="later"),
        m.AckRequest(cluster=CLUSTER, container_instance=INSTANCE, message_id="p"),
    ]


def test_what_is_not_understood_is_neither_done_nor_acknowledged() -> None:
    sink = Recorder()
    session = AgentSession(sink)
    for frame in ("", "nonsense", "[]", '{"type":"PayloadMessage","message":{"tasks":3}}', b"\xff"):
        assert session.receive(frame) == []
    assert session.receive('{"type":"SomethingNew","message":{}}') == []
    assert sink.said == []


def test_an_old_manifest_is_dropped_and_a_new_one_answered() -> None:
    sink = Recorder(running=(task_arn(1), task_arn(2)))
    session = AgentSession(sink)
    session.receive(payload(seq_num=5))
    assert session.receive(manifest(timeline=5)) == []
    ack, verification = session.receive(manifest(task_arn(2), timeline=6))
    assert ack == m.AckRequest(cluster=CLUSTER, container_instance=INSTANCE, message_id="m")
    assert isinstance(verification, m.TaskStopVerificationMessage)
    assert [c.task_arn for c in verification.stop_candidates] == [task_arn(1)]
    assert sink.said == [("manifest", task_arn(2))]


def test_a_verification_counts_once_and_only_for_the_last_manifest() -> None:
    sink = Recorder(running=(task_arn(1),))
    session = AgentSession(sink)
    session.receive(manifest(timeline=1, message_id="m1"))
    session.receive(manifest(timeline=2, message_id="m2"))
    stop = (m.ManifestTask(task_arn=task_arn(1)),)
    session.receive(m.encode(m.TaskStopVerificationAck(message_id="m1", stop_tasks=stop)))
    assert ("stop", task_arn(1)) not in sink.said
    session.receive(m.encode(m.TaskStopVerificationAck(message_id="m2", stop_tasks=stop)))
    session.receive(m.encode(m.TaskStopVerificationAck(message_id="m2", stop_tasks=stop)))
    assert sink.said.count(("stop", task_arn(1))) == 1


def test_renewed_credentials_are_kept_and_acknowledged() -> None:
    sink = Recorder()
    keys = tp.RoleCredentials(credentials_id="c1", expiration="2030")
    frame = m.encode(m.IAMRoleCredentialsMessage(message_id="i", task_arn=task_arn(1), role_credentials=keys))
    (ack,) = AgentSession(sink).receive(frame)
    assert json.loads(m.encode(ack)) == {
        "type": "IAMRoleCredentialsAckRequest",
        "message": {"messageId": "i", "credentialsId": "c1", "expiration": "2030"},
    }
    assert sink.said == [("credentials", "c1")]
