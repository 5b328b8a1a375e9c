"""Reads for operators' pages of AWS accounts: the record, the last test of the connection, the last drift scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from iamroles import eligibility
from iamroles.iam import documents
from iamroles.models import AccountLook, AccountRule, AwsAccount, ProposedChange
from iamroles.models.changes import WAITING
from iamroles.models.looks import CHECK, SCAN
from iamroles.rules import account_rules

_WORDS = {
    "ok": "Connected",
    "warn": "Connected, with something to look at",
    "bad": "Not connected as it must be",
    "failed": "The test could not be done",
}


@dataclass(frozen=True)
class Connection:
    """A worker's answer to a test, or the wait for it. `state` is "" while it waits, else ok, warn, bad or failed."""

    look: AccountLook
    state: str
    headline: str
    lines: tuple[dict[str, Any], ...]
    permissions: tuple[dict[str, Any], ...]
    missing: int
    error: str

    @property
    def waits(self) -> bool:
        """True until a worker has answered or given up."""
        return not self.state


@dataclass(frozen=True)
class AccountRow:
    """One AWS account of the list."""

    account: AwsAccount
    connection: Connection | None
    scan: AccountLook | None
    roles: int
    drifted: int


@dataclass(frozen=True)
class Rule:
    """The standard or one guardrail of an AWS account: its versions, newest first, and the change that waits.

    `unset` says what counts while none is in force.
    """

    kind: str
    word: str
    unset: str
    versions: tuple[AccountRule, ...]
    waiting: ProposedChange | None

    @property
    def current(self) -> AccountRule | None:
        """The version in force; None when there is none, or when the newest took it back."""
        newest = self.versions[0] if self.versions else None
        return newest if newest and newest.digest else None

    @property
    def text(self) -> str:
        """What is in force as indented JSON: one document, a list of several, or "" for none."""
        return _listed([documents.pretty(one) for one in self.current.read()]) if self.current else ""


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else "[\n" + ",\n".join(texts) + "\n]"


def rules_of_accounts(number: str = "") -> dict[AwsAccount, tuple[Rule, ...]]:
    """Returns standard and guardrails of every AWS account, or of one. Three queries, whatever their number."""
    accounts = AwsAccount.objects.filter(number=number) if number else AwsAccount.objects.all()
    versions: dict[tuple[int, str], list[AccountRule]] = {}
    for row in AccountRule.objects.filter(account__in=accounts).order_by("-version"):
        versions.setdefault((row.account_id, row.kind), []).append(row)
    changes = ProposedChange.objects.filter(subject=eligibility.ACCOUNT_RULES, state=WAITING)
    waiting = {change.target: change for change in changes.select_related("proposed_by")}
    return {
        account: tuple(
            Rule(
                kind,
                word,
                account_rules.UNSET[kind],
                tuple(versions.get((account.pk, kind), ())),
                waiting.get(account_rules.target_of(account.number, kind)),
            )
            for kind, word in account_rules.WORDS.items()
        )
        for account in accounts.order_by("environment", "name")
    }


def accounts() -> tuple[AccountRow, ...]:
    """Returns every AWS account. Three queries, whatever their number."""
    rows = list(
        _accounts().annotate(
            check_id=_latest(CHECK),
            scan_id=_latest(SCAN),
            roles=Count("managed_roles"),
            drifted=Count("managed_roles", filter=~Q(managed_roles__drift=[])),
        )
    )
    ids = [found for row in rows for found in (row.check_id, row.scan_id) if found]
    looks = {look.pk: look for look in AccountLook.objects.filter(pk__in=ids)}
    return tuple(
        AccountRow(
            account=row,
            connection=connection_of(looks[row.check_id]) if row.check_id else None,
            scan=looks[row.scan_id] if row.scan_id else None,
            roles=row.roles,
            drifted=row.drifted,
        )
        for row in rows
    )


def account_row(number: str) -> AccountRow | None:
    """Returns one AWS account, or None."""
    return next((row for row in accounts() if row.account.number == number), None)


def _accounts() -> QuerySet[AwsAccount]:
    return AwsAccount.objects.select_related("owner").order_by("environment", "name")


def _latest(kind: str) -> Subquery:
    return Subquery(AccountLook.objects.filter(account=OuterRef("pk"), kind=kind).order_by("-pk").values("pk")[:1])


def connection_of(look: AccountLook) -> Connection:
    """Returns the answer of a test for its page."""
    state = "" if look.answered_at is None else str(look.result.get("state", "failed"))
    permissions = tuple(look.result.get("permissions", ()))
    return Connection(
        look=look,
        state=state,
        headline=_WORDS.get(state, ""),
        lines=tuple(look.result.get("lines", ())),
        permissions=permissions,
        missing=sum(line["tone"] == "bad" for line in permissions),
        error=str(look.result.get("error", "")),
    )
