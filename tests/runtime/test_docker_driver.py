"""The Docker driver against prepared answers: versions, pulls, races, Podman, broken engines."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_engine import DOCKER_PING, PODMAN_PING, answer, scripted, stream

from openecs.agent.runtime.docker import DockerRuntime
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, RegistryAuth
from openecs.http import HttpClient, UnixAddress


def _query(target: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(target.partition(" ")[2]).query)


@pytest.mark.parametrize(("offered", "used"), [("1.41", "1.41"), ("1.45", "1.45"), ("1.52", "1.52"), ("1.99", "1.52")])
async def test_the_newest_version_that_both_know_is_used(tmp_path: Path, offered: str, used: str) -> None:
    lists = {"GET /containers/json": answer(200, "[]")}
    async with scripted(tmp_path, lists, f"Api-Version: {offered}\r\n") as (runtime, engine):
        assert await runtime.list() == []
        assert await runtime.list() == []
        assert engine.targets == ["GET /_ping", *[f"GET /v{used}/containers/json?all=1"] * 2]


@pytest.mark.parametrize(
    ("ping", "complaint"),
    [("Api-Version: 1.40\r\n", r"1\.40, but OpenECS needs 1\.41"), ("", "does not tell its API version")],
)
async def test_an_engine_that_is_too_old_or_none_is_refused(tmp_path: Path, ping: str, complaint: str) -> None:
    async with scripted(tmp_path, {}, ping) as (runtime, _):
        with pytest.raises(EngineError, match=complaint):
            await runtime.list()


async def test_an_engine_that_comes_back_is_asked_for_its_version_again(tmp_path: Path) -> None:
    lists = {"GET /containers/json": answer(200, "[]")}
    runtime = DockerRuntime(HttpClient(UnixAddress(str(tmp_path / "engine.sock"))))
    for version in ("1.47", "1.44"):
        with pytest.raises(EngineUnavailable, match="the container engine does not answer"):
            await runtime.list()
        async with scripted(tmp_path, lists, f"Api-Version: {version}\r\n") as (_, engine):
            assert await runtime.list() == []
            assert engine.targets == ["GET /_ping", f"GET /v{version}/containers/json?all=1"]
    await runtime.close()


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("busybox", "busybox", "latest"),
        ("busybox:1.36", "busybox", "1.36"),
        ("127.0.0.1:5000/team/web", "127.0.0.1:5000/team/web", "latest"),
        ("127.0.0.1:5000/web:v1@sha256:" + "a" * 64, "127.0.0.1:5000/web", "sha256:" + "a" * 64),
    ],
)
async def test_a_pull_names_one_image(tmp_path: Path, reference: str, repository: str, tag: str) -> None:
    progress = stream('{"status":"Pulling from x","id":"latest"}', '{"status":"Status: Downloaded newer image"}')
    async with scripted(tmp_path, {"POST /images/create": progress}) as (runtime, engine):
        await runtime.pull(reference)
        assert _query(engine.targets[-1]) == {"fromImage": [repository], "tag": [tag]}
        assert "x-registry-auth" not in engine.heads[-1].lower()


async def test_a_pull_carries_its_password_in_the_header_only(tmp_path: Path) -> None:
    auth = RegistryAuth(username="AWS", password="s3cr?t>")
    async with scripted(tmp_path, {"POST /images/create": stream("{}")}) as (runtime, engine):
        await runtime.pull("registry.local/web:1", auth)
        header = engine.heads[-1].partition("X-Registry-Auth: ")[2].partition("\r\n")[0]
        assert json.loads(base64.urlsafe_b64decode(header)) == {"username": "AWS", "password": "s3cr?t>"}
    assert "s3cr" not in repr(auth)
    assert "s3cr" not in str([auth])


async def test_an_error_inside_a_pull_is_the_pulls_error(tmp_path: Path) -> None:
    text = "manifest for web:9 not found: manifest unknown"
    progress = stream('{"status":"Pulling"}', json.dumps({"errorDetail": {"message": text}, "error": text}))
    async with scripted(tmp_path, {"POST /images/create": progress}) as (runtime, _):
        with pytest.raises(EngineError) as failure:
            await runtime.pull("web:9")
        assert failure.value.message == text


async def test_a_pull_that_breaks_off_did_not_succeed(tmp_path: Path) -> None:
    progress = stream('{"status":"Pulling"}', cut=True)
    async with scripted(tmp_path, {"POST /images/create": progress}) as (runtime, _):
        with pytest.raises(EngineUnavailable, match="before the end"):
            await runtime.pull("web:9")


async def test_a_registrys_refusal_is_told_in_its_words(tmp_path: Path) -> None:
    refusal = answer(500, '{"message":"Get \\"https://r/v2/\\": dial tcp: no such host"}')
    async with scripted(tmp_path, {"POST /images/create": refusal}) as (runtime, _):
        with pytest.raises(EngineError, match='Get "https://r/v2/": dial tcp: no such host') as failure:
            await runtime.pull("r/web")
        assert failure.value.status == 500


async def test_a_name_that_is_taken_before_its_container_is_there_is_waited_for(tmp_path: Path) -> None:
    taken = answer(409, '{"message":"Conflict. The container name \\"/a\\" is already in use"}')
    absent = answer(404, '{"message":"No such container: a"}')
    answers = {"POST /containers/create": [taken, taken, answer(201, '{"Id":"c2"}')], "GET /containers/a/json": absent}
    async with scripted(tmp_path, answers) as (runtime, engine):
        assert await runtime.create("a", {"Image": "x"}) == "c2"
        engine.answers["POST /containers/create"] = [taken]
        impatient = DockerRuntime(HttpClient(UnixAddress(str(tmp_path / "engine.sock"))), creation_pauses=(0, 0))
        with pytest.raises(EngineError, match="Conflict") as failure:
            await impatient.create("a", {"Image": "x"})
        assert failure.value.status == 409
        await impatient.close()


async def test_a_removal_by_somebody_else_is_waited_for(tmp_path: Path) -> None:
    busy = '{"message":"removal of container a is already in progress"}'
    answers = {
        "DELETE /containers/a": answer(409, busy),
        "POST /containers/a/wait": answer(200, '{"StatusCode":0}'),
    }
    async with scripted(tmp_path, answers) as (runtime, engine):
        await runtime.remove("a")
        assert engine.targets[-1] == "POST /v1.41/containers/a/wait?condition=removed"
        engine.answers["DELETE /containers/a"] = [answer(409, '{"message":"it is in use by a snapshot"}')]
        with pytest.raises(EngineError, match="in use by a snapshot"):
            await runtime.remove("a")


async def test_docker_is_asked_for_the_promised_events_only(tmp_path: Path) -> None:
    died = {
        "Type": "container", "Action": "die", "time": 1700000001, "timeNano": 1700000001500000000,
        "Actor": {"ID": "c1", "Attributes": {"exitCode": "3", "image": "x", "name": "n", "task": "1"}},
    }  # fmt: skip
    async with scripted(tmp_path, {"GET /events": stream(json.dumps(died))}) as (runtime, engine):
        events = runtime.events(1700000000.25)
        event = await anext(events)
        assert (event.action, event.container_id, event.exit_code, event.time) == ("die", "c1", 3, 1700000001.5)
        assert event.labels == {"task": "1"}
        with pytest.raises(EngineUnavailable, match="ended its stream"):
            await anext(events)
        query = _query(engine.targets[-1])
        assert query["since"] == ["1700000000.250000000"]
        filters = json.loads(query["filters"][0])
        assert filters["type"] == ["container"]
        assert {"create", "start", "die", "oom", "destroy", "health_status"} <= set(filters["event"])
        assert "exec_start" not in filters["event"]


async def test_podmans_events_are_told_in_dockers_words(tmp_path: Path) -> None:
    lines = [
        {"Type": "container", "Action": action, "Actor": {"ID": "c1", "Attributes": attributes}, "timeNano": 1}
        for action, attributes in [
            ("exec", {}), ("died", {"containerExitCode": "137"}), ("remove", {}), ("health_status: healthy", {}),
        ]
    ]  # fmt: skip
    events = stream(*map(json.dumps, lines))
    async with scripted(tmp_path, {"GET /events": events}, PODMAN_PING) as (runtime, engine):
        listening = runtime.events()
        found = [await anext(listening) for _ in range(3)]
        with pytest.raises(EngineUnavailable):
            await anext(listening)
        assert [(event.action, event.exit_code, event.health) for event in found] == [
            ("die", 137, None),
            ("destroy", None, None),
            ("health_status", None, "healthy"),
        ]
        assert json.loads(_query(engine.targets[-1])["filters"][0]) == {"type": ["container"]}


async def test_listening_ends_when_the_engine_goes_away(tmp_path: Path) -> None:
    async with scripted(tmp_path, {"GET /events": stream(cut=True)}) as (runtime, _):
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await anext(runtime.events())


async def test_an_answer_that_makes_no_sense_is_an_error_of_the_engine(tmp_path: Path) -> None:
    async with scripted(tmp_path, {"GET /containers/a/json": answer(200, "<html>")}) as (runtime, _):
        with pytest.raises(EngineError, match="the engine's answer about a cannot be read"):
            await runtime.inspect("a")


async def test_what_is_no_engine_is_told(tmp_path: Path) -> None:
    async def ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read()
        writer.close()

    path = str(tmp_path / "s")
    server = await asyncio.start_unix_server(ssh, path)
    runtime = DockerRuntime(HttpClient(UnixAddress(path)))
    with pytest.raises(EngineError, match=f"what answers at unix://{path} is no container engine"):
        await runtime.info()
    await runtime.close()
    server.close()
    await server.wait_closed()


async def test_a_container_that_stopped_has_no_processes(tmp_path: Path) -> None:
    answers = {
        "GET /containers/a/top": [
            answer(200, '{"Titles":["UID","PID"],"Processes":[["0","12"],["0","15"]]}'),
            answer(409, '{"message":"Container a is not running"}'),
            answer(500, '{"message":"ps: not found"}'),
        ]
    }
    async with scripted(tmp_path, answers, DOCKER_PING) as (runtime, _):
        assert await runtime.top("a") == (12, 15)
        assert await runtime.top("a") == ()
        with pytest.raises(EngineError, match="ps: not found"):
            await runtime.top("a")
