"""Random interleavings of edits, approvals, foreign changes, changed rules, members, records and guardrails, applying.

Whenever AWS is written to, an oracle of this file, which shares no code with the counting, must agree that today's rule
is met by different people who may count, each for exactly the text that is applied; or that today's rule lets exactly
this text go with nobody. Every refusal names what differed, and whatever happened, the request ends: applied, stopped
with a reason, or expired.

`INTERLEAVINGS=1000` runs the full number (default 15), `SEED=…` begins elsewhere; a failure prints its seed and story.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from iamroles.engine import expire, observe
from iamroles.iam import trust
from iamroles.models import AuditEvent, Decision, ManagedRole, ProposedChange, Request, Run, User, current_rules
from iamroles.proposal.propose import read
from iamroles.rules.approval_rules import STARTING_RULES
from iamroles.transitions import WrongState
from iamroles.workflow import changes, decide, organisation, submit
from iamroles.workflow.verbs import Refused
from tests.integration.account_rules import set_account_rule
from tests.integration.engine.world import ROLE, SYSTEM, World, actor, people

COUNT: Final = int(os.environ.get("INTERLEAVINGS", "15"))
SEED: Final = int(os.environ.get("SEED", "20261125"))
OPERATIONS: Final = 14
NAME: Final = "ecscodedeployrole"  # the account in memory keys roles by their folded names
CODES: Final = {  # every code with which something may be refused here; an empty or other one fails
    "self_approval", "not_eligible", "joined_later", "changed_rules", "stale_digest", "rule_changed", "account_changed",
    "owner_changed", "wrong_state", "unstaffed", "not_involved", "proposal_changed", "no_approval",
    "four_eyes", "waits", "unchanged", "invalid", "not_operator", "inactive", "forbidden", "editor", "stale_base",
    "guardrail_changed",
}  # fmt: skip
CAUSES: Final = {
    "rule_changed", "account_changed", "owner_changed", "context_changed", "approvals_no_longer_enough", "no_approval",
    "requester_lost_rights", "guardrail_changed", "no_rule", "not_low", "not_guarded", "first_grant",
}  # fmt: skip
# what nobody needs to approve, by the environment; the request is low, guarded, and its task role was passed before
NOBODY: Final[dict[str, tuple[list[dict[str, Any]], set[str]]]] = {
    "nothing": ([], set()),
    "roles": ([{"when": {"kind": ["role"]}, "why": "Such roles are routine."}], {"staging", "test"}),
    "roles in staging": (
        [{"when": {"kind": ["role"], "environment": ["staging"]}, "why": "Such roles are routine."}],
        {"staging"},
    ),
}  # fmt: skip
GUARDRAILS: Final = {"wide": "*", "narrow": "s3:*", "none": ""}  # by which actions they allow
# rule sets by name: what a low, and what a high request needs by them, written down by hand
RULE_SETS: Final[dict[str, tuple[list[dict[str, Any]], list[set[str]], list[set[str]]]]] = {
    "starting": (STARTING_RULES["rules"], [{"approvers"}], [{"approvers"}, {"security"}]),
    "owner and security": (
        [
            {"when": {}, "needs": [{"any_of": ["@owner"], "count": 1}], "why": "The owner."},
            {"when": {}, "needs": [{"any_of": ["security"], "count": 1}], "why": "Security."},
            {"when": {"risk": ["high"]}, "needs": [{"any_of": ["security"], "count": 2}], "why": "Two."},
        ],
        [{"orders-platform"}, {"security"}],
        [{"orders-platform"}, {"security"}, {"security"}],
    ),
    "either": (
        [{"when": {}, "needs": [{"any_of": ["approvers", "security"], "count": 2}], "why": "Two of either."}],
        [{"approvers", "security"}] * 2,
        [{"approvers", "security"}] * 2,
    ),
}  # fmt: skip


@dataclass
class Story:
    """One interleaving: the world, what this file itself remembers of it, and what happened."""

    world: World
    people: dict[str, User]
    dice: random.Random
    request: Request
    rules: str = "starting"
    nobody: str = "nothing"
    guardrail: str = "none"
    granted: bool = False
    sent_before: int = 0
    joined: dict[tuple[str, str], datetime] = field(default_factory=dict)
    authors: list[tuple[datetime, frozenset[str]]] = field(default_factory=list)
    sent_at: datetime | None = None
    tampered: bool = False
    digests: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.counts[text.split(":", maxsplit=1)[0].split(" ", maxsplit=1)[0]] += 1

    def fresh(self, login: str) -> User:
        return User.objects.get(username=login)

    # what may happen

    def edit(self) -> None:
        facts = self.world.facts(
            account=self.fresh_account().facts(),
            description=f"Edit {self.dice.randrange(1000)}",
            managed_policy=self.dice.choice(["limited", "limited", "full"]),
            why_full="The hooks are shared",
        )
        at = self.world.clock()
        submit.submit(
            request_id=self.request.pk,
            user=self.world.requester,
            facts=facts,
            reason="Changed again, ORD-1",
            actor=actor(self.world.requester),
            at=at,
        )
        self.sent_at = at

    def fresh_account(self) -> Any:
        self.world.account.refresh_from_db()
        return type(self.world.account).objects.select_related("owner").get(pk=self.world.account.pk)

    def look(self) -> None:
        self.tell(f"looked {observe.observe(request_id=self.request.pk, tools=self.world.tools())}")

    def approve(self, login: str | None = None) -> None:
        user = self.fresh(login or self.dice.choice([*self.people, "rosa"]))
        proposal = Request.objects.get(pk=self.request.pk).current_proposal()
        digest = proposal.digest if proposal else ""
        self.digests.append(digest)
        if login is None and self.dice.random() < 0.15:
            digest = self.dice.choice(self.digests)
        decide.decide(
            request_id=self.request.pk,
            user=user,
            decision="approve",
            seen_digest=digest,
            reason="",
            acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)] if proposal else [],
            signed_in_at=self.world.clock(),
            actor=actor(user),
            at=self.world.clock(),
        )

    def take_back(self) -> None:
        user = self.fresh(self.dice.choice(list(self.people)))
        decide.take_back(request_id=self.request.pk, user=user, actor=actor(user), at=self.world.clock())

    def _change(self, subject: str, target: str, content: Any, second: str = "ines") -> None:
        first, other = self.fresh("oskar"), self.fresh(second)
        change = changes.propose(
            subject=subject,
            target=target,
            content=content,
            reason="Happens in real life",
            user=first,
            signed_in_at=self.world.clock(),
            actor=actor(first),
            at=self.world.clock(),
        )
        at = self.world.clock()
        changes.confirm(
            change_id=change.pk, seen_digest=change.digest, user=other, signed_in_at=at, actor=actor(other), at=at
        )
        if subject != "group":
            self.authors.append((at, frozenset({"oskar", second})))

    def change_rules(self) -> None:
        name = self.dice.choice(sorted(RULE_SETS))
        version = current_rules()["version"] + 1
        life = self.dice.choice([3, 7, 14])
        nobody = self.dice.choice(sorted(NOBODY))
        content = {
            "version": version,
            "life_days": life,
            "rules": deepcopy(RULE_SETS[name][0]),
            "unattended": deepcopy(NOBODY[nobody][0]),
        }
        self._change("approval_rules", "", content, self.dice.choice(["ines", "sam"]))
        self.rules, self.nobody = name, nobody

    def change_guardrail(self, name: str = "") -> None:
        name = name or self.dice.choice(sorted(GUARDRAILS))
        statement = {"Effect": "Allow", "Action": GUARDRAILS[name], "Resource": "*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}) if GUARDRAILS[name] else "[]"
        number, at = self.world.account.number, self.world.clock()
        set_account_rule(number=number, kind="guardrail", text=text, actor=SYSTEM, at=at)
        self.guardrail = name

    def change_members(self) -> None:
        group = self.dice.choice(["approvers", "security", "orders-platform"])
        members = set(User.objects.filter(groups__name=group).values_list("username", flat=True))
        wanted = members ^ {self.dice.choice(self.approvers() or ["amara", "bo", "mei", "sam", "olu", "eve", "rosa"])}
        self._change("group", group, {"members": sorted(wanted)})
        for login in wanted - members:
            self.joined[login, group] = self.fresh(login).group_memberships.get(group__name=group).since
        for login in members - wanted:
            self.joined.pop((login, group), None)

    def change_record(self) -> None:
        account = self.fresh_account()
        record = {
            name: getattr(account, name) for name in ("name", "role_path", "policy_path", "boundary", "is_production")
        }
        record |= {"environment": self.dice.choice(["staging", "test"]), "owner": account.owner.name}
        self._change("account", account.number, record)

    def deactivate(self) -> None:
        login = self.dice.choice(self.approvers() or ["amara", "bo", "mei", "sam", "olu"])
        User.objects.filter(username=login).update(is_active=self.dice.random() < 0.5)

    def approvers(self) -> list[str]:
        """Those whose approval stands: the ones whose rights matter."""
        rows = Decision.objects.filter(request=self.request, ended_by="").order_by("pk")
        return list(rows.values_list("approver__username", flat=True))

    def next_act(self) -> str:
        """Anything; between the last approval and applying mostly what could take an approval away."""
        weights = ACTS if self.revision() and self.request.state != "approved" else {**ACTS, **BEFORE_APPLYING}
        return self.dice.choices(list(weights), weights=list(weights.values()))[0].__name__

    def foreign(self) -> None:
        role = self.world.aws.roles.get("orders-api-task")
        if role is None or NAME in self.world.aws.roles:
            return
        trusted = self.dice.choice([trust.ecs_tasks_trust(), trust.codedeploy_trust(self.world.account.number)])
        self.world.aws.put_role(replace(role, trust=trusted))

    def tamper(self) -> None:
        """Somebody with SQL: another approver's name on an approval, or an ended one brought back."""
        row = Decision.objects.filter(request=self.request, revision__number=self.revision()).order_by("pk").last()
        if row is not None and not self.tampered and self.dice.random() < 0.4:
            self.tampered = True
            Decision.objects.filter(pk=row.pk).update(approver=self.fresh("eve"), ended_by="", ended_at=None)

    def revision(self) -> int:
        self.request.refresh_from_db()
        return self.request.revision_number

    def wait(self) -> None:
        self.world.clock.pass_by(self.dice.choice([10, 3600]))

    def apply(self) -> None:
        before = len(self.world.sent())
        self.request.refresh_from_db()
        word = self.world.apply(self.request)
        self.tell(f"applied: {word}")
        if len(self.world.sent()) > before:
            self.require_approved()
        if word == "in_review":
            reopened = AuditEvent.objects.filter(request=self.request.reference, action="request.reopened")
            told = json.loads(reopened.order_by("-pk")[0].canon)["data"]
            assert told["cause"] in CAUSES
            assert told["cause"] != "context_changed" or told["differences"]

    # what must hold

    def require_approved(self) -> None:
        """The oracle: by this file's own memory and the rows, was exactly this text approved by enough people?"""
        assert not self.tampered_now(), "written although an approval was changed by SQL"
        revision = self.request.revisions.get(number=self.request.revision_number)
        proposal = self.request.current_proposal()
        assert proposal is not None
        digest = hashlib.sha256(proposal.canonical.encode()).hexdigest()
        rows = Decision.objects.filter(revision=revision, decision="approve", ended_by="", proposal_digest=digest)
        writers = set(self.request.revisions.values_list("created_by__username", flat=True))
        barred = writers | {self.request.requester.username}
        assert self.sent_at is not None
        for at, authors in self.authors:
            barred |= authors if at >= self.sent_at else set()
        able = []
        for row in rows.select_related("approver"):
            login = row.approver.username
            groups = {name for (who, name), since in self.joined.items() if who == login and since <= self.sent_at}
            if row.approver.is_active and login not in barred:
                able.append(groups & set(row.approver.groups.values_list("name", flat=True)))
        low, high = RULE_SETS[self.rules][1:]
        seats = high if json.loads(proposal.canonical)["risk"] == "high" else low
        filled = any(
            all(seat & groups for seat, groups in zip(seats, order, strict=True))
            for order in permutations(able, len(seats))
        )
        alone = not rows.exists() and self.needs_nobody(digest, json.loads(proposal.canonical)["risk"])
        assert filled or alone, f"written, but {able} do not fill {seats}"
        self.counts["written with nobody"] += alone

    def needs_nobody(self, digest: str, risk: str) -> bool:
        """By this file's own memory: today's rule covers it, and the trail says that this very text was let go."""
        events = AuditEvent.objects.filter(request=self.request.reference, action="request.auto_approved")
        let_go = [json.loads(event.canon)["data"] for event in events]
        covered = self.fresh_account().environment in NOBODY[self.nobody][1]
        guarded = self.guardrail == "wide" and self.granted and risk == "low"
        named = {(self.request.revision_number, digest)} & {(d["revision"], d["proposal_digest"]) for d in let_go}
        return covered and guarded and bool(named)

    def tampered_now(self) -> bool:
        rows = Decision.objects.filter(request=self.request, revision__number=self.revision(), ended_by="")
        return self.tampered and rows.filter(approver__username="eve").exists()

    def settle(self) -> None:
        """Everybody who may does what they can; then time passes. The request must end or say what it lacks."""
        for _ in range(3):
            self.attempt(self.look)
            for login in self.people:
                self.attempt(self.approve, login)
            self.attempt(self.apply)
            self.world.clock.pass_by(600)
        self.world.clock.pass_by(15 * 24 * 3600)
        self.attempt(self.look)
        self.world.clock.pass_by(15 * 24 * 3600)
        expire.expire_due(actor=SYSTEM, at=self.world.clock())
        self.request.refresh_from_db()
        stopped = Run.objects.filter(request=self.request, state="stopped").exclude(stop_reason="recalled")
        waiting_for_aws = self.request.state == "submitted" and self.request.last_code
        assert self.request.state == "closed" or stopped.exists() or waiting_for_aws, self.request.state
        if self.request.outcome == "applied":
            self.require_target()

    def require_target(self) -> None:
        proposal = self.request.current_proposal()
        assert proposal is not None
        target = read(proposal.canonical).target
        live = self.world.aws.roles[NAME]
        assert target.role is not None
        assert (live.trust, live.attached, dict(live.tags)) == (
            target.role.trust,
            target.role.attached,
            dict(live.tags) | dict(target.role.tags),
        )
        assert ManagedRole.objects.filter(arn=ROLE).exists()

    def attempt(self, act: Callable[..., None], *arguments: Any) -> None:
        before = AuditEvent.objects.filter(action="verb.refused").count()
        name = " ".join([act.__name__, *map(str, arguments)])
        said = code = ""
        try:
            act(*arguments)
            self.tell(name)
        except (Refused, WrongState) as refused:
            said, code = str(refused), refused.code if isinstance(refused, Refused) else "wrong_state"
        if said:
            self.tell(f"{name}: {code}")
            assert code in CODES, code
            assert AuditEvent.objects.filter(action="verb.refused").count() > before


ACTS: Final = {
    Story.edit: 2, Story.look: 5, Story.approve: 9, Story.take_back: 1, Story.change_rules: 1, Story.change_members: 2,
    Story.change_record: 1, Story.deactivate: 1, Story.foreign: 2, Story.tamper: 1, Story.wait: 1, Story.apply: 4,
    Story.change_guardrail: 1,
}  # fmt: skip

BEFORE_APPLYING: Final = {
    Story.approve: 1, Story.change_rules: 3, Story.change_members: 9, Story.change_record: 2, Story.deactivate: 9,
    Story.tamper: 4, Story.apply: 9, Story.change_guardrail: 3,
}  # fmt: skip


def begin(world: World, dice: random.Random) -> Story:
    at = world.clock()

    def person(login: str, *groups: str) -> User:
        return organisation.add_person(
            login=login,
            first_name=login.title(),
            last_name="",
            password=None,
            groups=groups,
            teams=(),
            actor=SYSTEM,
            at=at,
        )

    known = {"amara": world.approver, "olu": world.owner, "mei": world.security}
    known |= {"bo": person("bo", "approvers", "security"), "sam": person("sam", "security", "operators")}
    known |= {"oskar": person("oskar", "operators"), "ines": person("ines", "operators"), "eve": person("eve")}
    granted = dice.random() < 0.5
    if granted:  # what was passed before, inside guardrails, may go with nobody
        make_routine(world)
    request = world.submitted()
    story = Story(world, known, dice, request, sent_at=request.submitted_at, granted=granted)
    story.sent_before = len(world.sent())
    if granted:
        story.change_guardrail("wide")
        story.attempt(story.change_rules)
    for name in ("approvers", "security", "orders-platform"):
        for user in Group.objects.get(name=name).user_set.all():
            story.joined[user.username, name] = at - timedelta(days=1)
    return story


def make_routine(world: World) -> None:
    """Has another role applied that passes the same task role, by people's approvals; the trust guardrail stands."""
    first = world.facts(role_name="ecsCodeDeployRole-first", policy_name="ecsCodeDeployRole-first-PassRole")
    assert world.apply(world.approved(first)) == "applied"
    text = trust.codedeploy_trust(world.account.number).canonical_text
    set_account_rule(number=world.account.number, kind="trust_guardrail", text=text, actor=SYSTEM, at=world.clock())


def test_no_interleaving_applies_what_was_not_approved(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    totals: Counter[str] = Counter()
    for number in range(COUNT):
        seed = SEED + number
        dice = random.Random(seed)
        with transaction.atomic():
            story = begin(people(), dice)
            try:
                for _ in range(OPERATIONS):
                    story.attempt(getattr(story, story.next_act()))
                story.settle()
            except AssertionError as error:
                raise AssertionError(f"SEED={seed}: {error}\n" + "\n".join(story.told)) from error
            totals[f"ended {story.request.outcome or story.request.state}"] += 1
            totals["with writes"] += len(story.world.sent()) > story.sent_before
            totals["with writes that nobody approved, by a rule"] += bool(story.counts["written with nobody"])
            totals["let go by a rule"] += AuditEvent.objects.filter(action="request.auto_approved").count()
            totals["refusals"] += AuditEvent.objects.filter(action="verb.refused").count()
            totals["changes confirmed"] += ProposedChange.objects.filter(state="confirmed").count()
            totals["went back"] += AuditEvent.objects.filter(action="request.reopened").count()
            totals["proposed anew"] += AuditEvent.objects.filter(action="plan.renewed").count()
            transaction.set_rollback(True)
    with capsys.disabled():
        print(f"\n{COUNT} interleavings from SEED={SEED}: {dict(sorted(totals.items()))}")
    assert totals["with writes"], "no interleaving applied anything: this proves nothing"
    assert totals["went back"], "no interleaving sent an approved request back"
    assert totals["proposed anew"], "no interleaving outdated a proposal"
    assert COUNT < 100 or totals["with writes that nobody approved, by a rule"], "no rule let anything go"
