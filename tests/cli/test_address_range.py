"""Installations of one machine have addresses of their own."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from openecs.cli.address_range import choose_range
from openecs.config import ServerConfig
from openecs.errors import OperatorError

HOME = Path("/var/lib/openecs")


def test_the_default_installation_has_the_documented_range() -> None:
    assert choose_range(HOME, HOME) == "10.208.0.0/16"


def test_others_have_the_same_range_every_time_and_never_the_default_one() -> None:
    found = {choose_range(Path(f"/srv/{number}"), HOME) for number in range(200)}
    assert len(found) > 100
    assert choose_range(Path("/srv/1"), HOME) == choose_range(Path("/srv/1"), HOME)
    taken = ipaddress.IPv4Network("10.208.0.0/16")
    assert not any(ipaddress.IPv4Network(block).overlaps(taken) for block in found)


@pytest.mark.parametrize(
    "text", ["10.208.0.1/16", "10.0.0.0/25", "fd00::/64", "everywhere", "127.0.0.0/16", "0.0.0.0/0"]
)
def test_a_range_that_tasks_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="--address-range"):
        ServerConfig(data_dir=None, run_dir=Path("/tmp"), address_range=text)
