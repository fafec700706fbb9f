"""The routes behind ``openecs why``: who may tell, who may ask, and what nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import pytest

from openecs.acs.evidence import BODY_LIMIT, Evidence, Probe
from openecs.clock import ManualClock
from openecs.control.historian import Historian
from openecs.errors import AWSError
from openecs.ids import RandomIds
from openecs.model.history import Actor, HistoryEntry
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.task import Task, TaskContainer
from openecs.model.task_state import declare_stopped
from openecs.server.evidence import OUTPUT_PERIOD, PER_TASK, WITH_OUTPUT, EvidenceTaker, text_of
from openecs.server.signed import SignedPaths, SignedRequest
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
        created_at=NOW - 10, group="g", containers=(TaskContainer(arn="c", name="web", image="i"),),
        reservation=Resources(), node_id="n",
    )  # fmt: skip
    return msgspec.structs.replace(base, **members)


@pytest.fixture
def state() -> State:
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    Historian(state, Clock(), strict=True)
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
    entries = await state.store.history(HistoryQuery("task", ARN.rsplit("/", 1)[-1]))
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
        (AGENT, evidence(container="other"), "InvalidParameterException"),
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
    # Nor does a restart of the control plane begin the count anew.
    with pytest.raises(AWSError, match="are enough"):
        await EvidenceTaker(state, Clock()).take(request(AGENT, evidence()))
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


def paths(barrier: Callable[[], Awaitable[None]] | None = None) -> SignedPaths:
    async def nothing_to_wait_for() -> None:
        return

    verifier = Verifier(lambda _: SigningKey("secret", ROOT))
    return SignedPaths(verifier=verifier, clock=Clock(), ids=RandomIds(), barrier=barrier or nothing_to_wait_for)


async def test_a_signed_request_reaches_its_action_with_the_rest_of_its_path() -> None:
    async def action(asked: SignedRequest) -> object:
        return {"rest": asked.rest, "region": asked.region, "who": asked.principal.arn}

    app = paths().application("/_openecs/why", {"GET": action}, body_limit=BODY_LIMIT, below=True)
    assert await call(app, f"/_openecs/why/task/{ARN}") == (
        200,
        {"rest": f"task/{ARN}", "region": "eu-west-1", "who": ROOT.arn},
    )
    status, error = await call(app, "/_openecs/why/task/1", key="wrong")
    assert (status, error["__type"]) == (400, "InvalidSignatureException")
    assert (await call(app, "/_openecs/why", method="POST"))[0] == 405
    assert (await call(app, "/_openecs/why", body=b"x" * (BODY_LIMIT + 1)))[0] == 413


@pytest.mark.parametrize("below", [False, True])
async def test_what_is_below_a_path_is_its_own_only_if_it_says_so(below: bool) -> None:
    async def action(asked: SignedRequest) -> object:
        return asked.rest

    app = paths().application("/_openecs/evidence", {"GET": action}, body_limit=0, below=below)
    assert (await call(app, "/_openecs/evidence"))[0] == 200
    status, answer = await call(app, "/_openecs/evidence/anything")
    assert (status, answer) == (200, "anything") if below else (status, answer["__type"]) == (404, "NotFoundException")


@pytest.mark.parametrize("refused", [False, True])
async def test_nothing_leaves_before_what_it_depends_on_is_durable(refused: bool) -> None:
    durable = asyncio.Event()

    async def action(_: SignedRequest) -> object:
        if refused:
            raise AWSError("ClientException", "no")
        return {}

    async def barrier() -> None:
        await durable.wait()

    app = paths(barrier).application("/_openecs/why", {"GET": action}, body_limit=0)
    async with asyncio.TaskGroup() as group:
        answering = group.create_task(call(app, "/_openecs/why"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not answering.done()
        durable.set()
    assert answering.result()[0] == (400 if refused else 200)


async def test_a_mistake_of_ours_is_answered_with_a_request_id_and_no_details() -> None:
    async def action(_: SignedRequest) -> object:
        raise LookupError("a secret")

    async def unspeakable(_: SignedRequest) -> object:
        return object()

    for bad in (action, unspeakable):
        app = paths().application("/_openecs/why", {"GET": bad}, body_limit=0)
        status, answer = await call(app, "/_openecs/why")
        assert (status, answer["__type"]) == (500, "InternalFailure")
        assert "request id" in answer["message"]
        assert "secret" not in answer["message"]


# -- much history -------------------------------------------------------------------------


async def test_output_is_kept_of_the_first_that_end_in_the_same_way(state: State) -> None:
    clock = ManualClock(NOW)
    taker = EvidenceTaker(state, clock)

    async def told(number: int, **members: object) -> bool:
        arn = f"{ARN[:-4]}{number:04}"
        with state.transaction() as tx:
            tx.put(task(arn=arn, deployment_id="ecs-svc/1"))
        seen = evidence(task_arn=arn, log="boom", probes=(Probe(exit_code=1, output="no"),), **members)
        await taker.take(request(AGENT, seen))
        (entry,) = await state.store.history(HistoryQuery("task", arn.rsplit("/", 1)[-1], kinds=("evidence",)))
        kept = "boom" in str(entry.facts)
        assert kept == ("no" in [probe.get("output") for probe in entry.facts["probes"]])
        assert kept != ("its output is not kept" in entry.text)
        return kept

    assert [await told(number, exit_code=1) for number in range(WITH_OUTPUT + 2)] == [True] * WITH_OUTPUT + [False] * 2
    assert await told(100, exit_code=2)
    clock.advance(OUTPUT_PERIOD)
    assert await told(101, exit_code=1)


def instance_entry(name: str, at: float) -> HistoryEntry:
    return HistoryEntry(
        at=at, kind="instance", text=f"{name} became DRAINING", cluster_arn=task().cluster_arn, facts={"instance": name}
    )


async def test_a_task_is_told_what_happened_around_its_own_life(state: State) -> None:
    service = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/default/web"
    stopped = declare_stopped(
        task(service_arn=service, deployment_id="ecs-svc/1", container_instance_arn="i", created_at=NOW - 1000),
        now=NOW - 900, stop_code="ServiceSchedulerInitiated", reason="scaled in",
    )  # fmt: skip

    def about(at: float, text: str, kind: str = "service-changed", deployment_id: str | None = None) -> HistoryEntry:
        return HistoryEntry(at=at, kind=kind, text=text, service_arn=service, deployment_id=deployment_id)

    with state.transaction() as tx:
        tx.put(stopped)
        tx.note(about(NOW - 5000, "much before"))
        tx.note(about(NOW - 2001, "ecs-svc/1 begins", "deployment", "ecs-svc/1"))
        tx.note(about(NOW - 2000, "created by ann"))
        tx.note(instance_entry("i", NOW - 2000))
        tx.note(instance_entry("i", NOW - 950))
        tx.note(about(NOW - 950, "scaled in by bob"))
        for number in range(500):
            tx.note(about(NOW - 100, f"later {number}"))
            tx.note(instance_entry("i", NOW - 100))
    answer = await Why(state, Clock(), ACCOUNT).answer(request(ROOT, rest=f"task/{ARN}"))
    told = [line.text for line in answer.timeline if line.what in ("service-changed", "deployment", "instance")]
    assert told == ["ecs-svc/1 begins", "created by ann", "scaled in by bob", "i became DRAINING"]


async def test_failures_do_not_hide_who_changed_a_service(state: State) -> None:
    service = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/default/web"
    with state.transaction() as tx:
        tx.note(HistoryEntry(at=1.0, kind="service-changed", text="by ann", service_arn=service))
        for number in range(500):
            tx.note(HistoryEntry(at=2.0, kind="service-event", text=f"event {number}", service_arn=service))
            tx.note(
                HistoryEntry(at=2.0, kind="stopped", text="boom", service_arn=service, task_arn=ARN, facts={"task": 1})
            )
    answer = await Why(state, Clock(), ACCOUNT).answer(request(ROOT, rest="service/default/web"))
    assert answer.timeline[0].text == "by ann"
    assert answer.timeline[-1].text == "event 499"
    # The record among the facts is of another version: what the entry says counts.
    assert [(group.cause, group.count) for group in answer.failures] == [("boom", 200)]


async def test_a_record_of_another_version_leaves_what_the_entries_say(state: State) -> None:
    arn = f"{ARN[:-1]}e"
    with state.transaction() as tx:
        tx.note(HistoryEntry(at=1.0, kind="placed", text="placed on a", task_arn=arn))
        tx.note(HistoryEntry(at=2.0, kind="stopped", text="STOPPED", task_arn=arn, facts={"task": {"arn": 1}}))
        facts = {"deployment": {"id": 1}}
        tx.note(HistoryEntry(at=3.0, kind="deployment", text="done", deployment_id="ecs-svc/9", facts=facts))
    answer = await Why(state, Clock(), ACCOUNT).answer(request(ROOT, rest=f"task/{arn}"))
    assert (answer.id, answer.status) == (arn, None)
    assert [line.text for line in answer.timeline] == ["placed on a", "STOPPED"]
    assert (await Why(state, Clock(), ACCOUNT).answer(request(ROOT, rest="deployment/ecs-svc/9"))).summary == (
        "done; it is over"
    )
