"""What can be changed with four eyes: approval rules, a group's members, an AWS account's record, its standard and
guardrails, a team's accounts, which of the identity provider's groups fill what. And what two people declare: that the
database was restored from a backup.

A kind says what stands, what is wrong with a proposal, and how it is written with its events. The verbs are in
`changes`; a new kind is one more entry of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import Group

from iamroles import audit, canonical, eligibility
from iamroles.audit import Actor, Change, Subject
from iamroles.models import ApprovalRules, AwsAccount, ProposedChange, Team, User, current_rules
from iamroles.rules import approval_rules
from iamroles.workflow import account_rules, memberships, organisation, provider_groups
from iamroles.workflow.verbs import Invalid

RULES: Final = eligibility.RULES
GROUP: Final = "group"
ACCOUNT: Final = eligibility.ACCOUNT
TEAM: Final = "team"
RESTORE: Final = "restore"
ACCOUNT_RULES: Final = eligibility.ACCOUNT_RULES

_TEXTS: Final = ("name", "environment", "role_path", "policy_path", "boundary", *organisation.TAG_LISTS)
_ACCOUNT_FIELDS: Final = {**dict.fromkeys((*_TEXTS, "owner"), str), "is_production": bool}


@dataclass(frozen=True)
class Kind:
    """One kind of change. `stands` raises Invalid for a target that there is not; `wrong` returns sentences.

    `gains` names the persons who gain by the change: they may not confirm it. `lock` holds the rows that another verb
    could write between the comparison with what stands and the writing.
    """

    stands: Callable[[str], Any]
    wrong: Callable[[str, Any], Iterable[str]]
    write: Callable[[ProposedChange, Actor, datetime], None]
    gains: Callable[[ProposedChange], Iterable[str]] = lambda _change: ()
    lock: Callable[[ProposedChange], object] = lambda _change: None


def _facts_of(change: ProposedChange) -> dict[str, object]:
    return {"change": change.reference, "proposed_by": str(change.proposed_by_id)}


def _rules_wrong(_target: str, content: Any) -> list[str]:
    wrong = list(approval_rules.check(content))
    if not wrong and content["version"] != current_rules()["version"] + 1:
        wrong.append("The rules changed meanwhile. Open them again.")
    if not wrong and content == {**current_rules(), "version": content["version"]}:
        wrong.append("Nothing would change.")
    if not wrong:
        named = approval_rules.named_groups(content)
        absent = sorted(named - set(Group.objects.filter(name__in=named).values_list("name", flat=True)))
        wrong += [f"There is no group {name}. Add people to it first." for name in absent]
    return wrong


def _write_rules(change: ProposedChange, actor: Actor, at: datetime) -> None:
    content, before = change.proposed(), change.stood()
    digest = approval_rules.digest(content)
    ApprovalRules.objects.create(
        version=content["version"], content=change.content, digest=digest, at=at, change=change
    )
    audit.record(
        "approval_rule.changed",
        actor=actor,
        subject=Subject("approval_rules", str(content["version"]), "Approval rules"),
        at=at,
        reason=change.reason,
        changes=[Change("rules", approval_rules.digest(before), digest)],
        data={
            "version": content["version"],
            "previous_version": before["version"],
            "changes": sorted(name for name in content if name != "version" and content[name] != before[name]),
            "digest": digest,
            **_facts_of(change),
        },
    )


def _members(target: str) -> dict[str, list[str]]:
    return {"members": sorted(User.objects.filter(groups__name=target).values_list("username", flat=True))}


def _members_wrong(target: str, content: Any) -> list[str]:
    if not isinstance(content, dict) or set(content) != {"members"} or not approval_rules.is_name(target):
        return ["A group has a name without blanks, and members."]
    names = content["members"]
    if not isinstance(names, list) or names != sorted(set(map(str, names))):
        return ["Name each member once, in order."]
    known = set(User.objects.filter(username__in=names, is_active=True).values_list("username", flat=True))
    stay = set(_members(target)["members"])
    absent = [f"There is no active person {name}." for name in names if name not in known | stay]
    moved = User.objects.filter(username__in=set(names) ^ stay)
    elsewhere = memberships.decided_elsewhere(moved, target)
    return absent + [memberships.PROVIDER_DECIDES.format(person.display_name, target) for person in elsewhere]


def _lock_members(change: ProposedChange) -> None:
    """Whoever is being deactivated joins nothing, and whoever joins is taken out again by a deactivation."""
    memberships.lock_people(username__in=change.proposed()["members"])


def _added(change: ProposedChange) -> list[User]:
    added = set(change.proposed()["members"]) - set(change.stood()["members"])
    return list(User.objects.filter(username__in=added).order_by("username"))


def _write_members(change: ProposedChange, actor: Actor, at: datetime) -> None:
    group, _ = Group.objects.get_or_create(name=change.target)
    removed = set(change.stood()["members"]) - set(change.proposed()["members"])
    for user in User.objects.filter(username__in=removed).order_by("username"):
        if memberships.leave(user, group):
            _record_member("membership.removed", change, user, actor, at)
    for user in _added(change):
        if memberships.join(user, group, at):
            _record_member("membership.granted", change, user, actor, at)


def _record_member(event: str, change: ProposedChange, user: User, actor: Actor, at: datetime) -> None:
    audit.record(
        event,
        actor=actor,
        subject=Subject("user", str(user.pk), user.display_name),
        at=at,
        reason=change.reason,
        data={"user": user.get_username(), "group": change.target, **_facts_of(change)},
    )


def _account(number: str) -> AwsAccount:
    found = AwsAccount.objects.select_related("owner").filter(number=number).first()
    if found is None:
        raise Invalid(f"There is no AWS account {number}.", "target")
    return found


def _record_of(number: str) -> dict[str, Any]:
    account = _account(number)
    record: dict[str, Any] = {name: getattr(account, name) for name in (*_TEXTS, "is_production")}
    return {**record, "owner": account.owner.name}


def _record_wrong(number: str, content: Any) -> list[str]:
    if not isinstance(content, dict) or {name: type(value) for name, value in content.items()} != _ACCOUNT_FIELDS:
        return [f"The record has exactly {', '.join(_ACCOUNT_FIELDS)}."]
    account = _account(number)
    wrong = [said for _, said, _ in organisation.record_problems(content, number=number, partition=account.partition)]
    if not User.objects.filter(is_active=True, groups__name=content["owner"]).exists():
        wrong.append(f"Nobody is in the group {content['owner']}: add people before it owns an AWS account.")
    return wrong


def _write_record(change: ProposedChange, actor: Actor, at: datetime) -> None:
    account, content, before = _account(change.target), change.proposed(), change.stood()
    for name in (*_TEXTS, "is_production"):
        setattr(account, name, content[name])
    account.owner = Group.objects.get(name=content["owner"])
    account.save(update_fields=(*_TEXTS, "is_production", "owner"))  # a pause of this moment stays
    changed = sorted(name for name in content if content[name] != before[name])
    audit.record(
        "account.changed",
        actor=actor,
        subject=Subject("account", account.number, account.name),
        at=at,
        reason=change.reason,
        changes=[Change(name, str(before[name]), str(content[name])) for name in changed],
        data={"account": account.number, "changes": changed, "scope": "all", **_facts_of(change)},
    )


def _team_accounts(slug: str) -> dict[str, list[str]]:
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise Invalid(f"There is no team {slug}.", "target")
    return {"accounts": sorted(team.accounts.values_list("number", flat=True))}


def _team_wrong(_slug: str, content: Any) -> list[str]:
    numbers = content.get("accounts") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(numbers, list) or numbers != sorted(set(map(str, numbers))):
        return ["Name each AWS account once, in order."]
    known = set(AwsAccount.objects.filter(number__in=numbers).values_list("number", flat=True))
    return [f"There is no AWS account {number}." for number in numbers if number not in known]


def _write_team(change: ProposedChange, actor: Actor, at: datetime) -> None:
    team, numbers = Team.objects.get(slug=change.target), change.proposed()["accounts"]
    team.accounts.set(AwsAccount.objects.filter(number__in=numbers))
    audit.record(
        "team.changed",
        actor=actor,
        subject=Subject("team", team.slug, team.name),
        at=at,
        reason=change.reason,
        changes=[Change("accounts", ", ".join(change.stood()["accounts"]), ", ".join(numbers))],
        data={"team": team.slug, "changes": ["accounts"], **_facts_of(change)},
    )


def _restored() -> audit.Loss:
    found = audit.undeclared()
    if found is None:
        raise Invalid("Sealing is not halted by a restore from a backup, so there is nothing to declare.", "target")
    return found


def _trail_as_it_is(_target: str) -> dict[str, object]:
    found = _restored()
    return {"generation": found.previous, "events": found.lost_from}


def _restore_wrong(target: str, content: Any) -> list[str]:
    if target or content != _restored().facts():
        return ["This is not the restore at which sealing is halted. Open the page again."]
    return []


def _write_restore(change: ProposedChange, actor: Actor, at: datetime) -> None:
    facts = {"change": change.reference, "proposed_by": str(change.proposed_by_id)}
    audit.declare(change.proposed(), **facts, reason=change.reason, actor=actor, at=at)


KINDS: Final[dict[str, Kind]] = {
    RULES: Kind(lambda _target: current_rules(), _rules_wrong, _write_rules),
    GROUP: Kind(
        _members,
        _members_wrong,
        _write_members,
        lambda change: [eligibility.person_of(u) for u in _added(change)],
        _lock_members,
    ),
    ACCOUNT: Kind(_record_of, _record_wrong, _write_record),
    TEAM: Kind(_team_accounts, _team_wrong, _write_team),
    RESTORE: Kind(_trail_as_it_is, _restore_wrong, _write_restore),
    provider_groups.SUBJECT: Kind(
        provider_groups.stands,
        provider_groups.wrong,
        lambda change, actor, at: provider_groups.write(change, _facts_of(change), actor, at),
        provider_groups.gains,
        lambda change: provider_groups.lock(change.target),
    ),
    ACCOUNT_RULES: Kind(
        account_rules.stands,
        account_rules.wrong,
        account_rules.write_change,
        lock=lambda change: account_rules.lock(change.target),
    ),
}


def text_of(value: Any) -> str:
    """Returns the canonical text that a change stores. Raises Invalid for what has none."""
    try:
        return canonical.dumps(value).decode()
    except canonical.CanonicalError as error:
        raise Invalid(f"This cannot be stored: {error}.", "content") from error
