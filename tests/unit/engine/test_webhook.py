"""The webhook reaches public addresses alone, the one that was looked up, and believes no redirect."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from iamroles.engine import webhook
from iamroles.engine.webhook import NotSent, Target, post, signature, target_of

PUBLIC = "93.184.216.34"
URL = "https://hooks.example.test/services/T0/B0?x=1"


@dataclass
class Server:
    """A local server with one answer; what it was sent is kept."""

    port: int
    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    pause: float = 0
    got: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Server(listening.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    found.got.append(connection.recv(65536))
                    try:
                        for piece in (found.answer[:5], found.answer[5:]):
                            connection.sendall(piece)
                            time.sleep(found.pause)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield found
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def refused(url: str, *addresses: str, loopback: bool = False) -> str:
    with pytest.raises(NotSent) as error:
        target_of(url, loopback=loopback, resolver=lambda *_: list(addresses))
    return error.value.code


class TestWhereTo:
    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1"),  # noqa: S104
            *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "100.64.0.1"),
            *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "224.0.0.1"),
            *("255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "ff02::1", "2001:0:7f00:1::", "64:ff9b:1::1"),
        ],
    )
    def test_what_is_not_public_is_refused_also_beside_a_public_one(self, address: str) -> None:
        assert refused(URL, address) == "address_refused"
        assert refused(URL, PUBLIC, address) == "address_refused"

    def test_a_name_is_looked_up_once_and_pinned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter([[PUBLIC], ["127.0.0.1"]])
        target = target_of(URL, resolver=lambda *_: next(answers))
        assert target == Target("hooks.example.test", 443, "/services/T0/B0?x=1", PUBLIC, tls=True)
        called: list[tuple[str, int]] = []

        def connect(address: tuple[str, int], timeout: float) -> socket.socket:
            called.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", connect)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("looked up again"))
        with pytest.raises(NotSent, match="not_reached"):
            post(target, b"{}", secret="s", delivery="1", timestamp=1)
        assert called == [(PUBLIC, 443)]

    @pytest.mark.parametrize(
        "url",
        ["http://hooks.example.test/", "ftp://hooks.example.test/", "//hooks.example.test/", "file:///etc/passwd"],
    )
    def test_only_https(self, url: str) -> None:
        assert refused(url, PUBLIC) in ("not_https", "bad_address")

    @pytest.mark.parametrize(
        "url",
        [
            "https://user@hooks.example.test/",
            "https:///x",
            "https://a b/",
            "https://a/\r\nX: y",
            "https://h\u00f6st/",
            "",
        ],
    )
    def test_a_strange_address_is_refused(self, url: str) -> None:
        assert refused(url, PUBLIC) in ("bad_address", "not_https")

    @pytest.mark.parametrize("address", [PUBLIC, "10.0.0.1", "169.254.169.254"])
    def test_plain_http_in_demo_and_tests_reaches_this_machine_alone(self, address: str) -> None:
        assert refused("http://localhost/", address, loopback=True) == "address_refused"
        assert refused("http://localhost/", "127.0.0.1", loopback=False) == "not_https"

    def test_a_name_that_is_unknown_is_said(self) -> None:
        def fail(*_: object) -> list[str]:
            raise socket.gaierror

        with pytest.raises(NotSent, match="not_resolved"):
            target_of(URL, resolver=fail)


class TestSending:
    def send(self, server: Server, body: bytes = b'{"text": "x"}') -> None:
        post(target_of(server.url, loopback=True), body, secret="s3", delivery="7", timestamp=1_700_000_000)

    def test_is_signed_over_timestamp_and_body(self, server: Server) -> None:
        self.send(server)
        head, _, body = server.got[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /hook?x=1 HTTP/1.1"
        assert body == b'{"text": "x"}'
        wanted = hmac.new(b"s3", b'v1:1700000000:{"text": "x"}', hashlib.sha256).hexdigest()
        assert f"Roledesk-Signature: v1={wanted}" in lines
        assert "Roledesk-Timestamp: 1700000000" in lines
        assert "Roledesk-Delivery: 7" in lines
        assert signature("s3", 1_700_000_001, body) != f"v1={wanted}"

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "redirected"),
            (b"HTTP/1.1 500 No\r\n\r\n", "answered_500"),
            (b"SSH-2.0-OpenSSH\r\n", "bad_answer"),
            (b"HTTP/1.1 " + b"2" * 5000, "bad_answer"),
            (b"", "bad_answer"),
        ],
    )
    def test_every_other_answer_is_a_failure_and_nothing_is_followed(
        self, server: Server, answer: bytes, code: str
    ) -> None:
        server.answer = answer
        with pytest.raises(NotSent) as error:
            self.send(server)
        assert error.value.code in (code, "answered_2" + "2" * 1014)
        assert len(server.got) == 1

    def test_a_slow_answer_ends_in_all_after_the_limit(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook, "SECONDS", 0.3)
        server.pause = 1.0
        begun = time.monotonic()
        with pytest.raises(NotSent, match="timed_out"):
            self.send(server)
        assert time.monotonic() - begun < 0.9

    def test_a_long_body_is_not_sent(self, server: Server) -> None:
        with pytest.raises(NotSent, match="too_long"):
            self.send(server, b"x" * (webhook.BODY_AT_MOST + 1))
        assert server.got == []
