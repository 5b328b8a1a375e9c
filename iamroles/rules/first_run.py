"""What an installation needs before its first request: one list, from what is known. The command and the page show it.

Reading what is known, and keeping what people said about an item, are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DONE: Final = "done"
MISSING: Final = "missing"
SKIPPED: Final = "skipped"
CLOCK_AT_MOST: Final = 5.0  # seconds; approvals expire and leases end by the database's clock


@dataclass(frozen=True)
class Said:
    """What a person said about an item: that it is done (no program can see it) or is left out, and why."""

    state: str
    why: str
    by: str


@dataclass(frozen=True)
class Known:
    """What the portal sees of itself. `roles`: "apart", "one" or "none"; `key`: why approvals cannot be signed."""

    migrations_due: int
    roles: str
    key: str
    base_url: str
    worker_seen: bool
    sealed: int
    sealing_late: bool
    clock_off: float
    confirmers: int
    approvers: int
    accounts: int
    untested: tuple[str, ...]
    unbounded: tuple[str, ...]
    teams: int
    said: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One line of the list. `command` and `page` (a URL's name) say how; `told`: only a person knows it."""

    key: str
    title: str
    state: str
    sentence: str
    command: str = ""
    page: str = ""
    told: bool = False
    may_skip: bool = False


def items(known: Known) -> tuple[Item, ...]:
    """Returns the list in the order in which it is worked through."""
    found = (*_server(known), *_people(known), *_aws(known), *_told())
    return tuple(_with_said(item, known.said.get(item.key)) for item in found)


def left(listed: tuple[Item, ...]) -> int:
    """Returns how many items are missing."""
    return sum(item.state == MISSING for item in listed)


def _item(key: str, title: str, missing: str, done: str, command: str = "", page: str = "", skip: bool = False) -> Item:
    state, sentence = (MISSING, missing) if missing else (DONE, done)
    return Item(key, title, state, sentence, command, page, may_skip=skip)


def _server(known: Known) -> tuple[Item, ...]:
    due = f"{known.migrations_due} migrations are not applied." if known.migrations_due else ""
    shared = {
        "one": "The portal runs as the owner of its tables, who could erase events before they are sealed.",
        "none": "SQLite knows no roles: it is for trying out.",
    }.get(known.roles, "")
    local = known.base_url.startswith("https://") and "example" not in known.base_url
    late = "Events wait to be sealed." if known.sealing_late else "" if known.sealed else "Nothing has been sealed yet."
    off = f"The clocks of database and portal are {known.clock_off:.0f} s apart."
    return (
        _item("database", "Database", due, "It answers, and its tables are up to date.", "manage.py migrate"),
        _item(
            "roles", "Database roles", shared, "The portal cannot change events.", "manage.py audit grants", skip=True
        ),
        _item("keys", "Keys", known.key, "Approvals can be signed.", "manage.py setup --base-url https://HOST"),
        _item(
            "base_url",
            "Address",
            "" if local else f"BASE_URL is {known.base_url or 'not set'}: people sign in at an https address of yours.",
            f"People open {known.base_url}",
            "BASE_URL=https://HOST in .env, then: docker compose up -d",
            skip=True,
        ),
        _item("tend", "Sealing", late, f"Sealed to event {known.sealed:,}.", "manage.py tend"),
        _item(
            "clock",
            "Clock",
            off if abs(known.clock_off) > CLOCK_AT_MOST else "",
            "Database and portal agree on the time.",
            "timedatectl set-ntp true",
        ),
    )


def _people(known: Known) -> tuple[Item, ...]:
    return (
        _item(
            "confirmers",
            "Two who confirm changes",
            f"{known.confirmers} of at least 2 people are in operators or security: nobody could confirm a change."
            if known.confirmers < 2
            else "",
            f"{known.confirmers} people are in operators or security.",
            "manage.py people invite EMAIL FIRST LAST --group operators",
        ),
        _item(
            "approvers",
            "Two approvers",
            f"{known.approvers} of at least 2 people can approve: nobody approves their own request."
            if known.approvers < 2
            else "",
            f"{known.approvers} people can approve.",
            page="group_list",
        ),
    )


def _aws(known: Known) -> tuple[Item, ...]:
    none = "No AWS account is registered." if not known.accounts else ""
    untested = none or (f"Not connected or not tested: {', '.join(known.untested)}." if known.untested else "")
    unbounded = none or (f"No permissions boundary: {', '.join(known.unbounded)}." if known.unbounded else "")
    return (
        _item("account", "First AWS account", none, f"{known.accounts} registered.", page="account_add"),
        _item(
            "connection",
            "The portal's role in it",
            untested,
            "The last test of every AWS account let us in, and nobody else.",
            "manage.py aws_accounts template --hub ARN NUMBER",
            "account_list",
        ),
        _item(
            "boundary",
            "Permissions boundary",
            unbounded,
            "Every AWS account demands one.",
            page="account_list",
            skip=True,
        ),
        _item(
            "team",
            "First team",
            "" if known.teams else "No team has both people and an AWS account: nobody can ask for anything.",
            f"Teams with people and an AWS account: {known.teams}.",
            page="team_list",
        ),
        _item(
            "worker",
            "Worker",
            "" if known.worker_seen else "No worker has done anything yet. Start one, then test an AWS account.",
            "A worker has done its work.",
            "docker compose up -d worker, or: celery -A portal.celery worker",
            "account_list",
        ),
    )


def _told() -> tuple[Item, ...]:
    mail = "No test mail has been sent. Invitations and notices go by mail."
    backup = "Nobody has said that a backup was made and restored."
    return (
        Item("mail", "Mail", MISSING, mail, "EMAIL_HOST=… in .env", "setup", told=True, may_skip=True),
        Item("backup", "Backup", MISSING, backup, "pg_dump, then pg_restore elsewhere", told=True, may_skip=True),
    )


def _with_said(item: Item, said: Said | None) -> Item:
    counts = said is not None and item.state == MISSING
    counts = counts and (item.told if said and said.state == DONE else item.may_skip)
    if not counts or said is None:
        return item
    sentence = f"“{said.why}” ({said.by})"
    return Item(item.key, item.title, said.state, sentence, item.command, item.page, item.told, item.may_skip)
