"""The demo's people: who they are, what they do, in one line each. Data only; `fill` makes the rows."""

from __future__ import annotations

from dataclasses import dataclass

from iamroles.rules import groups


@dataclass(frozen=True)
class Person:
    """`key` is the name in `var/demo.json`; `groups` may name an AWS account owner's group; `teams` are slugs."""

    key: str
    login: str
    first_name: str
    last_name: str
    job: str
    line: str
    groups: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


ORDERS_OWNERS = "orders-platform"
PAYMENTS_OWNERS = "payments-platform"

PEOPLE = (
    Person(
        "approver",
        "amara",
        "Amara",
        "Okafor",
        "approver",
        "Reviews what teams ask for and approves it. Start here.",
        (groups.APPROVERS, ORDERS_OWNERS, PAYMENTS_OWNERS),
    ),
    Person(
        "requester",
        "rosa",
        "Rosa",
        "Lindqvist",
        "requester",
        "Asks for roles for the Orders team.",
        teams=("orders",),
    ),
    Person(
        "requester2",
        "tomas",
        "Tomás",
        "Berger",
        "second requester",
        "Asks for roles for the Payments team.",
        teams=("payments",),
    ),
    Person(
        "security",
        "mei",
        "Mei",
        "Tanaka",
        "security approver",
        "Adds the second approval that high risk needs.",
        (groups.SECURITY,),
    ),
    Person(
        "auditor",
        "idris",
        "Idris",
        "Haddad",
        "auditor",
        "Reads and exports everything that happened.",
        (groups.AUDITORS,),
    ),
    Person(
        "operator",
        "oskar",
        "Oskar",
        "Novak",
        "operator",
        "Watches health and unblocks what is stuck.",
        (groups.OPERATORS,),
    ),
)
