"""Whose address is told: that which our outermost proxy saw, never what the client itself sends."""

from __future__ import annotations

import pytest

from portal.client_address import client_address


@pytest.mark.parametrize(
    ("header", "proxies", "told"),
    [
        ("", 1, ""),
        ("203.0.113.7", 0, ""),
        ("203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7,10.0.0.5", 2, "203.0.113.7"),
        ("203.0.113.7", 2, ""),
        ("2001:DB8::7", 1, "2001:db8::7"),
        ("unknown", 1, ""),
        ("203.0.113.7:4711", 1, ""),
        ("203.0.113.7, ", 1, ""),
    ],
)
def test_is_what_the_outermost_proxy_saw(header: str, proxies: int, told: str) -> None:
    assert client_address(header, proxies) == told
