"""Where a client that came through a proxy, or did not, finds the control plane again."""

from __future__ import annotations

import pytest

from openecs.wire.public_url import PublicUrl

PROXIED = PublicUrl("https://ecs.example.com/", bind="127.0.0.1", port=8327)
OPEN = PublicUrl("https://ecs.example.com", bind="0.0.0.0", port=8327)


@pytest.mark.parametrize("host", ["127.0.0.1:8327", "ecs.example.com", "[::1]:80", "localhost"])
def test_without_an_advertised_url_it_is_what_the_client_wrote(host: str) -> None:
    assert PublicUrl()("http", host) == f"http://{host}"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        # The proxy kept the client's Host header,
        ("ecs.example.com", "https://ecs.example.com"),
        ("ECS.example.com:443", "https://ecs.example.com"),
        # or brought its own.
        ("upstream", "https://ecs.example.com"),
        ("", "https://ecs.example.com"),
        ("[", "https://ecs.example.com"),
        # Who is on this machine speaks to the server itself.
        ("127.0.0.1:8327", "http://127.0.0.1:8327"),
    ],
)
def test_behind_a_proxy_it_is_the_advertised_url(host: str, url: str) -> None:
    assert PROXIED("http", host) == url


def test_a_server_on_every_address_is_called_at_any_of_them() -> None:
    assert OPEN("http", "10.0.0.5:8327") == "http://10.0.0.5:8327"
    assert OPEN("http", "ecs.example.com") == "https://ecs.example.com"


def test_the_advertised_url_counts_even_where_it_is_the_bound_one() -> None:
    same = PublicUrl("https://ecs.example.com:8327", bind="0.0.0.0", port=8327)
    assert same("http", "ecs.example.com:8327") == "https://ecs.example.com:8327"
