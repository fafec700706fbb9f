"""Addresses as people write them."""

from __future__ import annotations

import pytest

from openecs.http import TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("url", "address", "host"),
    [
        ("unix:///var/run/docker.sock", UnixAddress("/var/run/docker.sock"), "localhost"),
        ("unix:///with%20blank.sock", UnixAddress("/with blank.sock"), "localhost"),
        ("http://127.0.0.1:8000", TcpAddress("127.0.0.1", 8000), "127.0.0.1:8000"),
        ("http://ecs.local/", TcpAddress("ecs.local", 80), "ecs.local"),
        ("https://ecs.local", TcpAddress("ecs.local", 443, tls=True), "ecs.local"),
        ("https://ecs.local:80", TcpAddress("ecs.local", 80, tls=True), "ecs.local:80"),
        ("tcp://[::1]:2375", TcpAddress("::1", 2375), "[::1]:2375"),
    ],
)
def test_an_address_is_understood(url: str, address: TcpAddress | UnixAddress, host: str) -> None:
    assert parse_address(url) == address
    assert address.host_header == host


@pytest.mark.parametrize(
    "url",
    ["", "/var/run/docker.sock", "ssh://host", "unix://", "unix://relative", "http://", "http://h/path", "http://u@h",
     "http://h:0x", "http://h?x=1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_address(url)
