"""A load balancer with real Envoy and real namespaces, on a host that is a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

#: Interfaces of the namespace are seen in a /sys of its own; namespaces that are made are gone with it.
_HOST = "mount -t sysfs sysfs /sys && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up && "


@pytest.mark.parametrize("scenario", ["edge_scenario.py", "datagram_scenario.py"])
def test_life_of_a_load_balancer(scenario: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory(prefix="edge-") as data:
        command = f'{_HOST} exec "{sys.executable}" "{folder / scenario}" "{data}"'
        ended = subprocess.run(
            ["unshare", "--net", "--mount", "--propagation", "slave", "sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
