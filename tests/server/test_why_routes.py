"""The routes behind ``openecs why``: who may tell, who may ask, and what nobody knows."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

from openecs.acs.evidence import BODY_LIMIT, Evidence, Probe
from openecs.control.historian import Historian
from openecs.errors import AWSError
from openecs.ids import RandomIds
from openecs.model.history import Actor
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.model.task_state import declare_stopped
from openecs.server.evidence import PER_TASK, EvidenceTaker, text_of
from openecs.server.signed import SignedRequest, signed_application
from openecs.server.why import Why
from openecs.state.journal.memory import MemoryJournal
from openecs.state.journal.protocol import HistoryQuery
from openecs.state.state import State
from openecs.wire.call import Principal, acting
from openecs.wire.sigv4 import Credentials, sign
from openecs.wire.verifier import SigningKey, Verifier

NOW = 1_700_000_000.0
ACCOUNT = "123456789012"
ARN = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task/default/0123456789abcdef0123456789abcdef"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIAROOT")
AGENT = Principal(f"arn:aws:iam::{ACCOUNT}:role/ecsInstanceRole/a", "agent", "AKIAAGENT")
OTHER = Principal(f"arn:aws:iam::{ACCOUNT}:role/ecsInstanceRole/b", "agent", "AKIAOTHER")


class Clock:
    def now(self) -> float:
        return NOW


def task(**members: object) -> Task:
    base = Task(
        arn=ARN, region="eu-west-1", cluster_arn=f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/default",
        task_definition_arn="d", launch_type="EC2", desired_status="RUNNING", last_status="RUNNING",
        created_at=NOW - 10, group="g", containers=(), reservation=Resources(), node_id="n",
    )  # fmt: skip
    return msgspec.structs.replace(base, **members)


@pytest.fixture
def state() -> State:
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    Historian(state, Clock())
    with state.transaction() as tx:
        tx.put(Node(id="n", capacity=Resources(), owner=AGENT.arn))
        tx.put(task())
    return state


def evidence(**members: Any) -> Evidence:
    return Evidence(**({"task_arn": ARN, "container": "web", "occasion": "ended", "at": NOW - 1} | members))


def request(who: Principal, body: object = b"", rest: str = "") -> SignedRequest:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return SignedRequest(who, "eu-west-1", rest, encoded)


async def kept(state: State) -> list[Any]:
    entries = await state.store.history(HistoryQuery(task_id=ARN.rsplit("/", 1)[-1]))
    return [entry for entry in entries if entry.kind == "evidence"]


async def test_the_owner_of_the_machine_may_tell(state: State) -> None:
    told = evidence(exit_code=3, log="a\nb", probes=(Probe(exit_code=1, output="no"),))
    await EvidenceTaker(state, Clock()).take(request(AGENT, told))
    (entry,) = await kept(state)
    assert (entry.text, entry.at) == ("container web ended by itself with exit code 3", NOW - 1)
    assert entry.facts["log"] == "a\nb"
    assert list(entry.facts["probes"]) == [{"exit_code": 1, "output": "no"}]


@pytest.mark.parametrize(
    ("who", "body", "code"),
    [
        (OTHER, evidence(), "AccessDeniedException"),
        (OTHER, evidence(task_arn=ARN + "0"), "AccessDeniedException"),
        (AGENT, evidence(task_arn=ARN + "0"), "AccessDeniedException"),
        (ROOT, evidence(task_arn=ARN + "0"), "InvalidParameterException"),
        (AGENT, b"{}", "SerializationException"),
        (AGENT, b"nothing", "SerializationException"),
        (AGENT, evidence(log="x" * 10_000), "SerializationException"),
        (AGENT, evidence(reason="x" * 10_000), "SerializationException"),
        (AGENT, evidence(occasion="other"), "SerializationException"),
        (AGENT, evidence(probes=(Probe(exit_code=1),) * 9), "SerializationException"),
    ],
)
async def test_what_is_refused_leaves_nothing(state: State, who: Principal, body: object, code: str) -> None:
    before = state.store.revision
    with pytest.raises(AWSError) as refusal:
        await EvidenceTaker(state, Clock()).take(request(who, body))
    assert refusal.value.code == code
    assert state.store.revision == before


async def test_one_task_cannot_fill_the_journal(state: State) -> None:
    taker = EvidenceTaker(state, Clock())
    for _ in range(PER_TASK):
        await taker.take(request(AGENT, evidence()))
    for _ in range(3):
        with pytest.raises(AWSError, match="are enough"):
            await taker.take(request(AGENT, evidence()))
    assert len(await kept(state)) == PER_TASK


@pytest.mark.parametrize("at", [0.0, NOW + 100, NOW - 10_000])
async def test_a_clock_that_is_wrong_is_not_believed(state: State, at: float) -> None:
    await EvidenceTaker(state, Clock()).take(request(AGENT, evidence(at=at)))
    assert [entry.at for entry in await kept(state)] == [NOW]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (evidence(occasion="unhealthy"), "container web turned UNHEALTHY: its health check fails"),
        (
            evidence(exit_code=137, oom_killed=True, memory_limit=64),
            "container web ended by itself with exit code 137: killed for want of memory (limit 64 MiB)",
        ),
        (
            evidence(occasion="failed", reason="CannotPullContainerError: none", pull_seconds=1.5),
            "container web could not be started: CannotPullContainerError: none (pulling took 1.5 s)",
        ),
        (evidence(occasion="restarted", restarts=2), "container web ended and was restarted by its restart policy (2"),
    ],
)
def test_evidence_is_worded(told: Evidence, text: str) -> None:
    assert text_of(told).startswith(text)


async def test_a_forgotten_task_is_told_by_id_and_by_arn(state: State) -> None:
    token = acting.set(Actor(ROOT.arn, "DeregisterContainerInstance"))
    stopped = declare_stopped(task(), now=NOW, stop_code="UserInitiated", reason="forced")
    with state.transaction() as tx:
        tx.put(stopped)
    acting.reset(token)
    with state.transaction() as tx:
        tx.delete(stopped)
    why = Why(state, Clock(), ACCOUNT)
    for reference in (ARN, ARN.rsplit("/", 1)[-1]):
        answer = await why.answer(request(ROOT, rest=f"task/{reference}"))
        assert answer.summary == f"stopped by {ROOT.arn} with DeregisterContainerInstance: forced"
        assert answer.id == ARN


@pytest.mark.parametrize(
    ("who", "rest", "code"),
    [
        (AGENT, f"task/{ARN}", "AccessDeniedException"),
        (ROOT, "", "InvalidParameterException"),
        (ROOT, "task", "InvalidParameterException"),
        (ROOT, "task/", "InvalidParameterException"),
        (ROOT, "service/web", "InvalidParameterException"),
        (ROOT, "service/a/b/c", "InvalidParameterException"),
        (ROOT, "service/default/web", "ServiceNotFoundException"),
        (ROOT, "deployment/ecs-svc/1", "InvalidParameterException"),
        (ROOT, "task/ffff", "InvalidParameterException"),
        (ROOT, f"task/{ARN.replace('default', 'other')}", "InvalidParameterException"),
        (ROOT, "cluster/default", "InvalidParameterException"),
    ],
)
async def test_what_cannot_be_answered_is_refused(state: State, who: Principal, rest: str, code: str) -> None:
    with pytest.raises(AWSError) as refusal:
        await Why(state, Clock(), ACCOUNT).answer(request(who, rest=rest))
    assert refusal.value.code == code


# -- over HTTP ----------------------------------------------------------------------------


async def call(
    app: Any, path: str, *, method: str = "GET", body: bytes = b"", key: str = "secret", region: str = "eu-west-1"
) -> tuple[int, Any]:
    headers = {"host": "localhost"}
    signed = sign(
        Credentials("AKIAROOT", key, None), method=method, url=f"http://localhost{path}", headers=headers, body=body,
        region=region, service="ecs", now=NOW,
    )  # fmt: skip
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    raw = [(k.lower().encode(), v.encode()) for k, v in (headers | dict(signed)).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": raw,
    }
    await app(scope, receive, send)
    return sent[0]["status"], msgspec.json.decode(b"".join(m.get("body", b"") for m in sent[1:]))


async def test_a_signed_request_reaches_its_action_with_the_rest_of_its_path() -> None:
    async def action(asked: SignedRequest) -> object:
        return {"rest": asked.rest, "region": asked.region, "who": asked.principal.arn}

    verifier = Verifier(lambda _: SigningKey("secret", ROOT))
    app = signed_application(
        "/_openecs/why", method="GET", action=action, verifier=verifier, clock=Clock(), ids=RandomIds(),
        body_limit=BODY_LIMIT,
    )  # fmt: skip
    assert await call(app, f"/_openecs/why/task/{ARN}") == (
        200,
        {"rest": f"task/{ARN}", "region": "eu-west-1", "who": ROOT.arn},
    )
    status, error = await call(app, "/_openecs/why/task/1", key="wrong")
    assert (status, error["__type"]) == (400, "InvalidSignatureException")
    assert (await call(app, "/_openecs/why", method="POST"))[0] == 405
    assert (await call(app, "/_openecs/why", body=b"x" * (BODY_LIMIT + 1)))[0] == 413
