"""Whose address a request came from, where proxies stand between: sign-in limits, events and sessions tell it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class ClientAddress:
    """Puts the address that the outermost proxy of ours saw into REMOTE_ADDR.

    Each proxy appends to X-Forwarded-For whom it was asked by, so with ROLEDESK_PROXIES of them that is the entry so
    many from the end. What stands before it, anybody can send; where it is missing or no address, nothing changes.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        told = client_address(request.headers.get("X-Forwarded-For", ""), settings.ROLEDESK_PROXIES)
        if told:
            request.META["REMOTE_ADDR"] = told
        return self.get_response(request)


def client_address(forwarded_for: str, proxies: int) -> str:
    """Returns the address so many entries from the end of the header, "" where there is none."""
    entries = forwarded_for.split(",")
    if not 0 < proxies <= len(entries):
        return ""
    try:
        return str(ip_address(entries[-proxies].strip()))
    except ValueError:
        return ""
