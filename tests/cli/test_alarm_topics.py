"""``--alarm-topic``: from the option to what the control plane is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from openecs.cli.installation import Installation
from openecs.cli.up import choose_settings, make_plan
from openecs.errors import OperatorError

TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"


def topics(home: Path, *given: str) -> tuple[tuple[str, str], ...]:
    installation = Installation(home)
    settings = choose_settings(installation, {"alarm_topic": given} if given else {})
    plan = make_plan(installation, settings, ephemeral=False, log_level="info")
    installation.save_settings(settings)
    return plan.server.alarm_topics


def test_topics_are_mapped_and_kept(tmp_path: Path) -> None:
    url = "https://ops.example.com/hook?a=b"
    assert topics(tmp_path) == ()
    assert topics(tmp_path, f"{TOPIC}={url}") == ((TOPIC, url),)
    assert topics(tmp_path) == ((TOPIC, url),)


@pytest.mark.parametrize("given", ["ops", TOPIC, f"{TOPIC}=ops", "arn:aws:sqs:a:1:b=http://x"])
def test_what_maps_no_topic_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(OperatorError, match="--alarm-topic"):
        topics(tmp_path, given)
