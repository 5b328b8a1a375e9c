"""What a message may carry: the one id of its task. Every task refuses all else before anything is looked up."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from structlog.testing import capture_logs

from iamroles import tasks

assert tasks
KEYS = {
    "roledesk.observe": "request_id",
    "roledesk.apply": "request_id",
    "roledesk.answer_order": "order_id",
    "roledesk.export": "job_id",
    "roledesk.look_at_account": "look_id",
    "roledesk.follow_up": "run_id",
}


def test_these_are_all_tasks() -> None:
    assert {name for name in current_app.tasks if name.startswith("roledesk.")} == set(KEYS)


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize(
    "row_id", ["1 OR 1=1", "1", [1], {"pk": 1}, None, True, 0, -1, 2**63, 1.5], ids=lambda value: repr(value)[:12]
)
def test_what_is_no_id_is_refused_and_logged_without_it(name: str, row_id: Any) -> None:
    """Without a database: nothing is asked for."""
    with capture_logs() as said:
        current_app.tasks[name](**{KEYS[name]: row_id})
    (line,) = said
    assert line == {"event": "message_refused", "log_level": "warning", "task": name, "arguments": 0, "keys": 1}


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize(("given", "more"), [((1,), {}), ((), {}), ((), {"other": 1}), ((1,), {"other": 1})])
def test_so_is_another_shape(name: str, given: tuple[int, ...], more: dict[str, int]) -> None:
    with capture_logs() as said:
        current_app.tasks[name](*given, **more)
    assert [line["event"] for line in said] == ["message_refused"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(KEYS))
def test_an_unknown_id_is_not_due(name: str, settings: Any) -> None:
    settings.ROLEDESK_AWS_ENDPOINT = "http://127.0.0.1:9"
    with capture_logs() as said:
        current_app.tasks[name](**{KEYS[name]: 4711})
    (line,) = said
    assert (line["event"], line["id"]) == ("rung", 4711)
    assert line["outcome"] in ("not_due", "not_approved")
