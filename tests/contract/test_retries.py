"""How often a call goes over the wire: a write once, whatever happens to it; a read again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from iamroles.aws.boto import BotoGateway
from iamroles.aws.gateway import AwsError
from iamroles.proposal.calls import Call


class Failing(ThreadingHTTPServer):
    """Answers 500, or closes without an answer, and counts."""

    def __init__(self, *, drop: bool) -> None:
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.asked += 1
                if drop:
                    self.close_connection = True
                    return
                self.send_response(500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Writes nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture(params=[True, False], ids=["dropped", "500"])
def failing(request: pytest.FixtureRequest) -> Iterator[Failing]:
    server = Failing(drop=request.param)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def gateway(server: Failing) -> BotoGateway:
    return BotoGateway(
        partition="aws",
        endpoint=f"http://127.0.0.1:{server.server_address[1]}",
        credentials={"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"},
        session_name="REQ-000001-r1",
    )


def test_a_write_is_sent_once_and_its_outcome_is_unknown(failing: Failing) -> None:
    call = Call("DeleteRole", "arn:aws:iam::111122223333:role/x", {"RoleName": "x"})
    with pytest.raises(AwsError) as caught:
        gateway(failing).send(call)
    assert (failing.asked, caught.value.kind) == (1, "unknown")


def test_a_read_is_asked_again(failing: Failing) -> None:
    with pytest.raises(AwsError):
        gateway(failing).account_summary()
    assert failing.asked == 5
