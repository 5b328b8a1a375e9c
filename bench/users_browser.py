"""A browser for `bench_users`: cookies and the form's token; anything but the expected answer fails.

Each call has a connection of its own, as behind a proxy that keeps none to the server.
"""

from __future__ import annotations

import http.client
import queue
import re
import time
import uuid
from urllib.parse import urlencode

HOST = "roles.corp.test"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
DIGEST = re.compile(r'name="proposal_digest" value="([0-9a-f]{64})"')
TICKS = re.compile(r'name="acknowledged"[^>]*value="([^"]+)"')


class Failed(Exception):
    """An answer that nobody should get."""


class Browser:
    """One person's."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self.port = port
        self.cookies = dict(cookies)

    def is_ready(self) -> bool:
        """Returns whether the server answers that it is ready."""
        try:
            return self._ask("GET", "/health/ready/")[0] == 200
        except OSError:
            return False

    def read(self, path: str) -> str:
        """Returns a page. Raises Failed for anything but 200."""
        status, text = self._asked("GET", path)
        if status != 200:
            raise Failed(f"{path} answers {status}")
        return text

    def decide(self, waiting: queue.SimpleQueue[str]) -> float:
        """Reads the review page of a waiting request and approves it. Returns when the decision was sent.

        Raises queue.Empty when nothing waits, and Failed.
        """
        reference = waiting.get_nowait()
        page = self.read(f"/approvals/{reference}/")
        token, digest = TOKEN.search(page), DIGEST.search(page)
        if token is None or digest is None:
            raise Failed(f"{reference} cannot be decided")
        form = {
            "csrfmiddlewaretoken": token[1],
            "idempotency_key": str(uuid.uuid4()),
            "proposal_digest": digest[1],
            "decision": "approve",
            "acknowledged": TICKS.findall(page),
        }
        begun = time.perf_counter()
        status, text = self._asked("POST", f"/approvals/{reference}/decide/", form)
        if status != 303:
            raise Failed(f"deciding {reference} answers {status}: {text[:300]}")
        return begun

    def _asked(self, method: str, path: str, form: dict[str, object] | None = None) -> tuple[int, str]:
        try:
            return self._ask(method, path, form)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{path}: {type(error).__name__} {error}") from error

    def _ask(self, method: str, path: str, form: dict[str, object] | None = None) -> tuple[int, str]:
        body = urlencode(form, doseq=True) if form is not None else None
        headers = {
            "Host": HOST,
            "Connection": "close",
            "X-Forwarded-Proto": "https",
            "Referer": f"https://{HOST}{path}",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for value in answer.headers.get_all("Set-Cookie", []):
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.split(";", 1)[0]
        return answer.status, text
