"""Identifiers have the forms that clients check."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from openecs.ids import RandomIds


def test_uuids_are_random_ones_in_the_usual_form() -> None:
    texts = [RandomIds().uuid() for _ in range(200)]
    assert len(set(texts)) == 200
    for text in texts:
        parsed = UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, RFC_4122)
