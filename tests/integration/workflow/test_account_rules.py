"""Setting the standard and the guardrails of an AWS account: versions, events, refusals, by verb and by command."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from iamroles import canonical, eligibility
from iamroles.audit import Actor
from iamroles.models import (
    AccountRule,
    AuditEvent,
    AwsAccount,
    Proposal,
    Request,
    User,
    current_rules,
)
from iamroles.proposal import digest_of
from iamroles.workflow import changes
from iamroles.workflow.account_rules import content_of, set_account_rule
from iamroles.workflow.verbs import Invalid, NotAllowed
from tests.integration.workflow.conftest import AT, actor

SYSTEM = Actor(type="system", id="test", name="Olu", channel="command")


def text(*actions: str) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    )


def put(account: AwsAccount, given: str, kind: str = "guardrail") -> AccountRule:
    return set_account_rule(number=account.number, kind=kind, text=given, actor=SYSTEM, at=AT)


def told(action: str) -> list[tuple[int, int]]:
    rows = AuditEvent.objects.filter(action=action).order_by("pk")
    found = [json.loads(row.canon)["data"] for row in rows]
    return [(data["version"], data["previous_version"]) for data in found]


def test_each_change_is_a_version_and_an_event(account: AwsAccount) -> None:
    put(account, text("ecs:*"))
    put(account, text("ecs:*", "s3:*"))
    put(account, text("ecs:*"), "standard")
    assert told("guardrail.changed") == [(1, 0), (2, 1)]
    assert told("standard.changed") == [(1, 0)]
    rules = account.rules()
    assert [len(one.statements[0].actions) for one in rules.guardrail] == [2]
    assert (rules.trust_guardrail, len(rules.standard)) == ((), 1)
    old = AccountRule.objects.get(kind="guardrail", version=1)
    assert old.read()[0].statements[0].actions == ("ecs:*",)


def test_a_proposal_from_before_there_were_any_does_not_escape_them(in_review: Request, account: AwsAccount) -> None:
    proposal = in_review.current_proposal()
    assert proposal is not None
    body = {name: value for name, value in proposal.body.items() if name != "account_rules"}
    older = canonical.dumps(body).decode()
    Proposal.objects.filter(pk=proposal.pk).update(canonical=older, digest=digest_of(older))
    found = [eligibility.outdated(in_review, Proposal.objects.get(pk=proposal.pk), current_rules())]
    put(account, text("ecs:*"))
    found.append(eligibility.outdated(in_review, Proposal.objects.get(pk=proposal.pk), current_rules()))
    assert found == ["", "guardrail_changed"]


def test_an_empty_list_takes_it_back(account: AwsAccount) -> None:
    put(account, text("ecs:*"))
    put(account, "[]")
    assert account.rules().guardrail == ()
    assert told("guardrail.changed") == [(1, 0), (2, 1)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": "999999999999"}, "number"),
        ({"kind": "fence"}, "kind"),
        ({"text": "{"}, "text"),
        ({"text": "[]"}, "text"),
    ],
)
def test_nonsense_is_refused_and_stores_nothing(account: AwsAccount, changes: dict[str, Any], field: str) -> None:
    given = {"number": account.number, "kind": "guardrail", "text": text("ecs:*"), **changes}
    with pytest.raises(Invalid) as refused:
        set_account_rule(**given, actor=SYSTEM, at=AT)
    assert (refused.value.field, AccountRule.objects.count(), told("guardrail.changed")) == (field, 0, [])


def test_the_same_again_is_no_change(account: AwsAccount) -> None:
    put(account, text("ecs:*"))
    with pytest.raises(Invalid, match="reads like that already"):
        put(account, text("ECS:*"))


class TestTwoPeople:
    @pytest.fixture
    def both(self, person: Callable[..., User]) -> tuple[User, User]:
        return person("oskar", "operators"), person("ines", "operators")

    def test_write_the_next_version_and_count_for_nothing_sent_before(
        self, both: tuple[User, User], account: AwsAccount, in_review: Request
    ) -> None:
        oskar, ines = both
        change = changes.propose(
            subject="account_rules",
            target=f"{account.number}:guardrail",
            content=content_of("guardrail", text("ecs:*")),
            reason="Nothing beyond ECS here",
            user=oskar,
            signed_in_at=AT,
            actor=actor(oskar),
            at=AT,
        )
        assert account.rules().guardrail == ()
        changes.confirm(
            change_id=change.pk, seen_digest=change.digest, user=ines, signed_in_at=AT, actor=actor(ines), at=AT
        )
        row = AccountRule.objects.get()
        assert (row.version, row.set_by) == (1, "Oskar, confirmed by Ines")
        event = json.loads(AuditEvent.objects.get(action="guardrail.changed").canon)
        assert (event["data"]["change"], event["data"]["proposed_by"]) == (change.reference, str(oskar.pk))
        proposal = in_review.current_proposal()
        assert proposal is not None
        bars = eligibility.bars_for([proposal.revision])[proposal.revision_id]
        for user in both:
            allowed = eligibility.may_decide(user, proposal, bars)
            assert (allowed.allowed, allowed.code) == (False, "changed_rules")

    @pytest.mark.parametrize(
        ("target", "content", "said"),
        [
            ("999999999999:guardrail", {"documents": []}, "There is no AWS account 999999999999."),
            ("111122223333:fence", {"documents": []}, "There is no such rule: fence."),
            ("111122223333:guardrail", {"documents": "[]"}, "The guardrail for rights is a list of documents."),
            ("111122223333:guardrail", [], "The guardrail for rights is a list of documents."),
            ("111122223333:guardrail", {"documents": ["{"]}, "JSON"),
        ],
    )
    def test_propose_nothing_else(
        self, both: tuple[User, User], account: AwsAccount, target: str, content: Any, said: str
    ) -> None:
        with pytest.raises(Invalid, match=said):
            changes.propose(
                subject="account_rules",
                target=target,
                content=content,
                reason="Nothing beyond ECS here",
                user=both[0],
                signed_in_at=AT,
                actor=actor(both[0]),
                at=AT,
            )

    def test_are_needed_once_there_are_two(self, both: tuple[User, User], account: AwsAccount) -> None:
        with pytest.raises(NotAllowed, match="propose it on the AWS account's page"):
            put(account, text("ecs:*"))
        assert AccountRule.objects.count() == 0


def test_the_command_sets_from_a_file_and_prints_every_version(account: AwsAccount, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("aws_accounts", *arguments, stdout=out)
        return out.getvalue()

    file = tmp_path / "guardrail.json"
    for actions in (("ecs:*",), ("ecs:*", "s3:*")):
        file.write_text(text(*actions))
        shown = run("rule", account.number, "guardrail", str(file))
    assert shown == f"Set the guardrail for rights of {account.name}: version 2.\n"
    assert [line.split("  ")[:2] for line in run("rules", account.number).splitlines()] == [
        ["guardrail", "version 1"],
        ["guardrail", "version 2"],
    ]
    assert len(json.loads(run("rules", account.number, "--kind=guardrail"))[0]["Statement"][0]["Action"]) == 2
    assert len(json.loads(run("rules", account.number, "--kind=guardrail", "--version=1"))[0]["Statement"]) == 1
    with pytest.raises(CommandError, match="cannot be read"):
        run("rule", account.number, "guardrail", str(tmp_path / "none.json"))
    with pytest.raises(CommandError, match="Nothing is set: standard"):
        run("rules", account.number, "--kind=standard")
    with pytest.raises(CommandError, match="There is no AWS account"):
        run("rules", "999999999999")
