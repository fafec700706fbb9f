"""What is a block of addresses or a port, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model.network_text import ipv4_block, ipv6_block, port


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_blocks(address, length):
    assert str(ipv4_block(f"{address}/{length}")).endswith(f"/{length}")


@given(st.ip_addresses(v=6), st.integers(0, 128))
def test_ipv6_blocks(address, length):
    assert str(ipv6_block(f"{address}/{length}")).endswith(f"/{length}")


def test_bits_of_the_host_part_are_dropped():
    assert str(ipv4_block("10.1.2.3/16")) == "10.1.0.0/16"
    assert str(ipv6_block("2001:DB8::1/32")) == "2001:db8::/32"


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/016", "10.0.0.0/+16", "10.0.0.0/-1", "10.0.0.0/33", "10.0.0.0/ 16",
        "10.0.0.0/16 ", " 10.0.0.0/16", "10.0.0.0/16\n", "010.0.0.0/16", "10.00.0.0/16", "10.0.0/16", "10.0.0.0/1.6",
        "10.0.0.0/255.255.0.0", "10.0.0.0/16/16", "10.0.0.0/١٦", "0x0a.0.0.0/16",
    ],
)  # fmt: skip
def test_what_is_no_ipv4_block(text):
    assert ipv4_block(text) is None


@pytest.mark.parametrize("text", ["", "::", "::/", "::/064", "::/129", "::/+1", "fe80::%eth0/64", "::g/64", "::/64\n"])
def test_what_is_no_ipv6_block(text):
    assert ipv6_block(text) is None


@given(st.integers(1, 65535))
def test_ports(number):
    assert port(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "99999", "080", "+80", "-80", " 80", "80 ", "80\n", "8_0", "8.0", "٨٠"]
)
def test_what_is_no_port(text):
    assert port(text) is None
