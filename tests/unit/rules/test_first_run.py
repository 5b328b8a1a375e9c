"""The set-up list: each thing that is missing is named with its command or page, and only what may be is skipped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.rules import first_run
from iamroles.rules.first_run import DONE, MISSING, SKIPPED, Known, Said

NOTHING = Known(
    migrations_due=3,
    roles="one",
    key="This process has no approval key.",
    base_url="http://127.0.0.1:8000",
    worker_seen=False,
    sealed=0,
    sealing_late=False,
    clock_off=60.0,
    confirmers=0,
    approvers=1,
    accounts=0,
    untested=(),
    unbounded=(),
    teams=0,
)
EVERYTHING = Known(
    migrations_due=0,
    roles="apart",
    key="",
    base_url="https://roles.corp.test",
    worker_seen=True,
    sealed=12,
    sealing_late=False,
    clock_off=-0.2,
    confirmers=2,
    approvers=2,
    accounts=1,
    untested=(),
    unbounded=(),
    teams=1,
    said={"mail": Said(DONE, "It arrived", "Ada"), "backup": Said(DONE, "Restored on a spare host", "Ada")},
)


def states(known: Known) -> dict[str, str]:
    return {item.key: item.state for item in first_run.items(known)}


def test_on_an_empty_installation_everything_is_missing_and_says_how() -> None:
    found = first_run.items(NOTHING)
    assert first_run.left(found) == len(found) == 15
    assert [item.key for item in found if not item.command and not item.page] == []


def test_nothing_is_missing_once_everything_is_there() -> None:
    found = first_run.items(EVERYTHING)
    assert [item.key for item in found if item.state != DONE] == []
    assert first_run.left(found) == 0


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"migrations_due": 1}, "database"),
        ({"roles": "one"}, "roles"),
        ({"roles": "none"}, "roles"),
        ({"key": "no key"}, "keys"),
        ({"base_url": "https://roledesk.example.com"}, "base_url"),
        ({"base_url": "http://roles.corp.test"}, "base_url"),
        ({"sealed": 0}, "tend"),
        ({"sealing_late": True}, "tend"),
        ({"clock_off": 5.1}, "clock"),
        ({"clock_off": -5.1}, "clock"),
        ({"confirmers": 1}, "confirmers"),
        ({"approvers": 1}, "approvers"),
        ({"untested": ("orders-prod",)}, "connection"),
        ({"unbounded": ("orders-prod",)}, "boundary"),
        ({"teams": 0}, "team"),
        ({"worker_seen": False}, "worker"),
        ({"said": {"mail": Said(DONE, "It arrived", "Ada")}}, "backup"),
    ],
)
def test_each_is_missing_for_its_own_reason(change: dict[str, Any], key: str) -> None:
    assert {name for name, state in states(replace(EVERYTHING, **change)).items() if state == MISSING} == {key}


def test_only_some_are_skipped_and_only_what_nobody_sees_is_told() -> None:
    keys = [item.key for item in first_run.items(NOTHING)]
    skipped = states(replace(NOTHING, said={key: Said(SKIPPED, "Not here", "Ada") for key in keys}))
    told = states(replace(NOTHING, said={key: Said(DONE, "It is", "Ada") for key in keys}))
    assert {key for key in keys if skipped[key] == SKIPPED} == {"roles", "base_url", "boundary", "mail", "backup"}
    assert {key for key in keys if told[key] == DONE} == {"mail", "backup"}


def test_a_skip_says_who_and_why() -> None:
    said = {"backup": Said(SKIPPED, "The database service keeps backups", "Ada Byron")}
    (backup,) = (item for item in first_run.items(replace(NOTHING, said=said)) if item.key == "backup")
    assert backup.sentence == "“The database service keeps backups” (Ada Byron)"
