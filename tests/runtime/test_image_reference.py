"""Image names taken apart."""

from __future__ import annotations

import pytest

from openecs.agent.runtime.protocol import EngineError
from openecs.agent.runtime.reference import ImageReference, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "reference", "written"),
    [
        ("busybox", ImageReference(repository="busybox", tag="latest"), "busybox:latest"),
        ("a/b:1", ImageReference(repository="a/b", tag="1"), "a/b:1"),
        ("h:5000/b", ImageReference(repository="h:5000/b", tag="latest"), "h:5000/b:latest"),
        ("h:5000/b:2", ImageReference(repository="h:5000/b", tag="2"), "h:5000/b:2"),
        (f"b@{DIGEST}", ImageReference(repository="b", digest=DIGEST), f"b@{DIGEST}"),
        (f"h:1/b:2@{DIGEST}", ImageReference(repository="h:1/b", tag="2", digest=DIGEST), f"h:1/b:2@{DIGEST}"),
    ],
)
def test_a_name_is_taken_apart(text: str, reference: ImageReference, written: str) -> None:
    assert parse_reference(text) == reference
    assert str(reference) == written


@pytest.mark.parametrize("text", ["", ":1", "@sha256:a", "a:", "a@", "a b"])
def test_nonsense_is_refused_as_the_engine_does(text: str) -> None:
    with pytest.raises(EngineError, match="invalid reference format"):
        parse_reference(text)
