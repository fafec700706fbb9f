"""``openecs why``: what a reference means, and what is printed of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from openecs.cli.why import lines, path_of, printable
from openecs.errors import OperatorError

PREFIX = "arn:aws:ecs:eu-west-1:123456789012"
TASK = "0123456789abcdef0123456789abcdef"


class Client:
    """Knows one service deployment."""

    def call(self, service: str, operation: str, region: str, **members: Any) -> dict[str, Any]:
        assert (service, operation, region) == ("ecs", "DescribeServiceDeployments", "eu-west-1")
        if not members["serviceDeploymentArns"][0].endswith("known"):
            return {"serviceDeployments": [], "failures": []}
        revision = {"arn": f"{PREFIX}:service-revision/default/web/77"}
        return {"serviceDeployments": [{"targetServiceRevision": revision}]}


@pytest.mark.parametrize(
    ("reference", "path", "region"),
    [
        (TASK, f"task/{TASK}", None),
        (f"{PREFIX}:task/default/{TASK}", f"task/{PREFIX}:task/default/{TASK}", "eu-west-1"),
        ("web", "service/default/web", None),
        ("blue/web", "service/blue/web", None),
        (f"{PREFIX}:service/blue/web", "service/blue/web", "eu-west-1"),
        ("ecs-svc/77", "deployment/ecs-svc/77", None),
        (f"{PREFIX}:service-revision/default/web/77", "deployment/ecs-svc/77", "eu-west-1"),
        (f"{PREFIX}:task-set/default/web/ecs-svc/77", "deployment/ecs-svc/77", "eu-west-1"),
        (f"{PREFIX}:service-deployment/default/web/known", "deployment/ecs-svc/77", "eu-west-1"),
    ],
)
def test_what_a_reference_means(reference: str, path: str, region: str | None) -> None:
    assert path_of(reference, "default", None, Client()) == (path, region)  # type: ignore[arg-type]


def test_a_services_cluster_and_region_are_options() -> None:
    client: Any = Client()
    assert path_of("web", "blue", "us-west-2", client) == ("service/blue/web", "us-west-2")
    assert path_of("web", f"{PREFIX}:cluster/blue", None, client) == ("service/blue/web", None)


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (f"{PREFIX}:cluster/default", "none of a task, a service, a deployment and a schedule"),
        (f"{PREFIX}:service-deployment/default/web/gone", "There is no .*list-service-deployments"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_the_next_step(reference: str, text: str) -> None:
    with pytest.raises(OperatorError, match=text):
        path_of(reference, "default", None, Client())  # type: ignore[arg-type]


def test_an_answer_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.localtime", __import__("time").gmtime)
    answer = {
        "subject": "service",
        "id": "arn",
        "status": "ACTIVE",
        "summary": "0 of 1 tasks run",
        "now": [{"at": None, "what": "now", "text": "task 1 is PENDING", "details": ["why"]}],
        "failures": [{"cause": "it never ran", "count": 2, "last_at": 1.25, "tasks": ["t1", "t2"]}],
        "timeline": [{"at": 0.5, "what": "placed", "text": "on a", "details": ["1 of 2 nodes fitted"]}],
    }
    assert list(lines(answer)) == [
        "service arn ACTIVE",
        "  0 of 1 tasks run",
        "",
        "Now",
        "  task 1 is PENDING",
        "      why",
        "",
        "Failures, newest cause first",
        "  2 x it never ran (last 1970-01-01 00:00:01.250)",
        "      openecs why t1",
        "",
        "What happened (local time)",
        "  1970-01-01 00:00:00.500  placed          on a",
        "      1 of 2 nodes fitted",
    ]
    gone = answer | {"status": None, "now": [], "failures": [], "timeline": []}
    assert list(lines(gone)) == ["service arn", "  0 of 1 tasks run"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, \u00e4\u4e2d \U0001f600", "plain text, \u00e4\u4e2d \U0001f600"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nservice web ACTIVE\r\tb", r"a\nservice web ACTIVE\r\tb"),
        ("\x7f\x00\x85\u2028", r"\x7f\x00\x85\u2028"),
        ("\u202egnp.exe\u2066\u200f\u061c", r"\u202egnp.exe\u2066\u200f\u061c"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_containers_print_cannot_move_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_part_of_an_answer_is_made_printable() -> None:
    bad = "\x1b]0;x\x07\x9b\n"
    line = {"at": 1.0, "what": bad, "text": bad, "details": [bad]}
    group = {"cause": bad, "count": 1, "last_at": 1.0, "tasks": [bad]}
    answer = {
        "subject": bad, "id": bad, "status": bad, "summary": bad, "now": [line], "failures": [group],
        "timeline": [line],
    }  # fmt: skip
    shown = list(lines(answer))
    assert len(shown) == 14
    assert all(text.isprintable() for text in shown)
