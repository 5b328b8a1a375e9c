"""One signed POST to the webhook, to an address that was looked up once, is public, and stays the one connected to.

The request is written and the answer read by hand, so that nothing follows a redirect, uses a proxy, looks the name up
again or waits for more than `SECONDS` in all. Of the answer only the status line is read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 5.0  # for connecting, sending and the status line together
STATUS_LINE_AT_MOST = 1024  # bytes
BODY_AT_MOST = 64 * 1024  # bytes

Resolver = Callable[[str, int], list[str]]
# IPv6 ranges that carry an IPv4 address to somewhere else: NAT64 (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
_CARRIERS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


class NotSent(Exception):
    """The webhook was not told. `code` says why in one word; nothing of the address is in it."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True)
class Target:
    """Where to: host and path as written, and the one address that is connected to."""

    host: str
    port: int
    path: str
    address: str
    tls: bool


def resolve(host: str, port: int) -> list[str]:
    """Returns the addresses of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Returns whether an address lies in the public internet: not loopback, private, link-local, metadata, carried."""
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif any(found in network for network in _CARRIERS):
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def target_of(url: str, *, loopback: bool = False, resolver: Resolver = resolve) -> Target:
    """Returns where to connect. One address that is not public refuses the name. Raises NotSent.

    `loopback` is for demo and tests: it allows `http://` to this machine, and nothing else that is not public.
    """
    parts = urlsplit(url)
    plain = parts.scheme == "http" and loopback
    if not url.isascii() or not url.isprintable() or " " in url or not parts.hostname or parts.username is not None:
        raise NotSent("bad_address")
    if parts.scheme != "https" and not plain:
        raise NotSent("not_https")
    try:
        port = parts.port or (80 if plain else 443)
        addresses = resolver(parts.hostname, port)
    except (OSError, ValueError) as error:
        raise NotSent("not_resolved") from error
    allowed = _is_loopback if plain else is_public
    if not addresses or not all(map(allowed, addresses)):
        raise NotSent("address_refused")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, port, path, addresses[0], tls=not plain)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Returns `v1=` and HMAC-SHA-256 over "v1:TIMESTAMP:BODY" in hexadecimal. The receiver refuses old timestamps."""
    text = b"v1:%d:%s" % (timestamp, body)
    return "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def post(target: Target, body: bytes, *, secret: str, delivery: str, timestamp: int) -> None:
    """Sends the body once. Returns on any 2xx; raises NotSent otherwise, also when it is unknown whether it arrived."""
    if len(body) > BODY_AT_MOST:
        raise NotSent("too_long")
    name = f"[{target.host}]" if ":" in target.host else target.host
    host = name if target.port in (80, 443) else f"{name}:{target.port}"
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Roledesk\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nRoledesk-Delivery: {delivery}\r\n"
        f"Roledesk-Timestamp: {timestamp}\r\nRoledesk-Signature: {signature(secret, timestamp, body)}\r\n\r\n"
    )
    status = _exchange(target, head.encode() + body, time.monotonic() + SECONDS)
    if not 200 <= status < 300:
        raise NotSent("redirected" if 300 <= status < 400 else f"answered_{status}")


def _exchange(target: Target, message: bytes, until: float) -> int:
    try:
        with socket.create_connection((target.address, target.port), timeout=_left(until)) as plain:
            plain.settimeout(_left(until))
            if not target.tls:
                return _status(plain, message, until)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) as secured:
                return _status(secured, message, until)
    except ssl.SSLCertVerificationError as error:
        raise NotSent("bad_certificate") from error
    except TimeoutError as error:
        raise NotSent("timed_out") from error
    except OSError as error:
        raise NotSent("not_reached") from error


def _status(connection: socket.socket, message: bytes, until: float) -> int:
    connection.sendall(message)
    line = b""
    while b"\n" not in line and len(line) < STATUS_LINE_AT_MOST:
        connection.settimeout(_left(until))
        got = connection.recv(STATUS_LINE_AT_MOST - len(line))
        if not got:
            break
        line += got
    words = line.split(b"\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise NotSent("bad_answer")
    return int(words[1])


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
