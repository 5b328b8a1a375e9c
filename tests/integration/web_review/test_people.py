"""Operators' pages of people, groups, teams and records: by invitation, and by two people where rights are decided."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS
from django.test import Client

from iamroles import invitations
from iamroles.audit import states_people
from iamroles.models import AuditEvent, AwsAccount, Notice, ProposedChange, Team, User
from iamroles.pages import first_run
from iamroles.web.forms.new_password import HINT
from iamroles.workflow import organisation, people, set_up
from iamroles.workflow.people import accept_invitation
from iamroles.workflow.verbs import NotAllowed
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import PROD, STAGING, World

pytestmark = pytest.mark.django_db
NEW = {"email": "Nia@Example.org", "first_name": "Nia", "last_name": "Holt", "teams": ["orders"]}
RECORD = {
    "name": "orders-staging",
    "environment": "staging",
    "owner": "orders-platform",
    "role_path": "/codedeploy/",
    "policy_path": "/",
    "boundary": "",
    "reason": "Roles move below a path of their own",
}


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def link_in(text: str) -> str:
    found = re.search(r"http://\S+?(/invited/\S+)", text)
    assert found
    return found[1]


LONG = "a long enough password"


def take_up(link: str, password: str = LONG) -> Any:
    client = Client()
    opened = client.get(link)
    assert opened.status_code == 302
    return client.post(opened["Location"], {"new_password1": password, "new_password2": password})


class TestInviting:
    def test_makes_a_person_who_chooses_a_password_once(self, here: World, signed_in: NewClient) -> None:
        answer = signed_in("oskar").post("/ops/people/invite/", NEW)
        person = User.objects.get(username="nia@example.org")
        assert (answer.status_code, answer["Location"]) == (303, f"/ops/people/{person.pk}/")
        assert (person.has_usable_password(), [team.slug for team in person.teams.all()]) == (False, ["orders"])
        (sent,) = mail.outbox
        assert sent.to == ["nia@example.org"]
        link = link_in(str(sent.body))
        assert take_up(link).status_code == 302
        person.refresh_from_db()
        assert person.check_password("a long enough password")
        assert actions()[-4:] == ["user.created", "membership.granted", "user.invited", "credential.changed"]
        assert b"does not work any more" in Client().get(link).content
        assert Client().login(username="nia@example.org", password="a long enough password")

    def test_the_link_leads_to_the_configured_address_whatever_host_was_asked_for(
        self, here: World, signed_in: NewClient, settings: Any
    ) -> None:
        settings.BASE_URL, settings.ALLOWED_HOSTS = "https://roles.corp.test", ["*"]
        signed_in("oskar").post("/ops/people/invite/", NEW, headers={"Host": "elsewhere.test"})
        body = str(mail.outbox[0].body)
        assert "at https://roles.corp.test." in body
        assert "\nhttps://roles.corp.test/invited/" in body
        assert "elsewhere" not in body

    def test_the_link_says_in_one_sentence_what_is_a_password(self, here: World, signed_in: NewClient) -> None:
        signed_in("oskar").post("/ops/people/invite/", NEW)
        client, link = Client(), link_in(str(mail.outbox[0].body))
        page = client.get(client.get(link)["Location"]).content.decode()
        assert re.findall(r'<div class="hint"[^>]*>([^<]+)</div>', page) == [HINT]
        assert re.findall(r'<label for="id_new[^>]*>([^<]+)</label>', page) == ["New password", "New password again"]

    def test_a_weak_password_is_refused_in_words(self, here: World, signed_in: NewClient) -> None:
        signed_in("oskar").post("/ops/people/invite/", NEW)
        answer = take_up(link_in(str(mail.outbox[0].body)), "nia")
        page = answer.content.decode()
        assert (answer.status_code, "too short" in page, "<title>Error: Your" in page) == (422, True, True)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"email": "rosa@example.org"}, "belongs to Rosa"),
            ({"email": "nobody"}, "valid email"),
            ({"first_name": " "}, "First name"),
            ({"teams": ["nowhere"]}, "nowhere"),
        ],
    )
    def test_wrong_answers_come_back(self, here: World, signed_in: NewClient, wrong: Any, said: str) -> None:
        answer = signed_in("oskar").post("/ops/people/invite/", {**NEW, **wrong})
        page = answer.content.decode()
        assert (answer.status_code, said in page, "<title>Error: Invite" in page) == (422, True, True)
        assert (User.objects.count(), mail.outbox) == (8, [])

    def test_an_old_sign_in_confirms_first_and_loses_nothing(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar", 6)
        answer = client.post("/ops/people/invite/", NEW)
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        page = client.get("/ops/people/invite/").content.decode()
        assert ('value="Nia@Example.org"' in page, "checked" in page) == (True, True)
        assert not User.objects.filter(username="nia@example.org").exists()

    def test_twice_the_same_form_invites_once(self, here: World, signed_in: NewClient, key: Any) -> None:
        form = {**NEW, "idempotency_key": key()}
        first, second = (signed_in("oskar").post("/ops/people/invite/", form) for _ in range(2))
        assert (first["Location"], len(mail.outbox)) == (second["Location"], 1)

    def test_a_mail_that_cannot_go_is_told(self, here: World, signed_in: NewClient, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        client = signed_in("oskar")
        page = client.get(client.post("/ops/people/invite/", NEW)["Location"]).content.decode()
        assert "was not sent" in page
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        person = User.objects.get(username="nia@example.org")
        assert client.post(f"/ops/people/{person.pk}/invite/").status_code == 303
        assert len(mail.outbox) == 1
        assert actions().count("user.invited") == 2

    def test_two_tabs_set_one_password(self, here: World, signed_in: NewClient) -> None:
        signed_in("oskar").post("/ops/people/invite/", NEW)
        person = User.objects.get(username="nia@example.org")
        accept_invitation(user=person, password=LONG, actor=world.actor(person), at=world.now())
        with pytest.raises(NotAllowed, match="used already"):
            accept_invitation(user=person, password="another long one", actor=world.actor(person), at=world.now())
        person.refresh_from_db()
        assert person.check_password(LONG)

    def test_a_link_of_a_deactivated_person_is_dead(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        client.post("/ops/people/invite/", NEW)
        link = link_in(str(mail.outbox[0].body))
        person = User.objects.get(username="nia@example.org")
        assert client.post(f"/ops/people/{person.pk}/deactivate/", {"reason": "By mistake"}).status_code == 303
        assert b"does not work any more" in Client().get(link).content
        assert not invitations.waits(User.objects.get(pk=person.pk))

    def test_a_taken_up_invitation_is_told_with_its_browser(self, here: World, signed_in: NewClient) -> None:
        signed_in("oskar").post("/ops/people/invite/", NEW)
        take_up(link_in(str(mail.outbox[0].body)))
        notice = Notice.objects.get(person__username="nia@example.org")
        assert notice.detail == {
            "what": "password was set by your invitation",
            "browser": "An unknown browser",
            "ip": "127.0.0.1",
        }


class TestTheCommand:
    def test_says_how_to_get_a_lost_link_again(self, db: None) -> None:
        out = StringIO()
        ada = ("ada@example.org", "Ada", "Byron", "--group", "operators", "--print-link")
        call_command("people", "invite", *ada, stdout=out)
        again = "ada@example.org belongs to Ada Byron already. Print the link: manage.py people link ada@example.org"
        with pytest.raises(CommandError, match=again):
            call_command("people", "invite", *ada, stdout=out)
        call_command("people", "link", "ada@example.org", stdout=out)
        assert take_up(out.getvalue().split()[-1].removeprefix("http://localhost")).status_code == 302
        with pytest.raises(CommandError, match=r"Ada Byron already\.$"):
            call_command("people", "invite", *ada, stdout=out)

    def test_invites_into_groups_only_while_nobody_could_confirm(self, db: None) -> None:
        out = StringIO()
        assert not User.objects.exists()  # no default account
        for name in ("ada", "ben"):
            person = [f"{name}@example.org", name.title(), "Byron", "--group", "operators", "--print-link"]
            call_command("people", "invite", *person, stdout=out)
        assert take_up(link_in(out.getvalue())).status_code == 302
        with pytest.raises(CommandError, match="Two people decide"):
            call_command("people", "invite", "cy@example.org", "Cy", "Twombly", "--group", "approvers", stdout=out)
        call_command("people", "list", stdout=out)
        assert out.getvalue().splitlines()[-2:] == [
            "ada@example.org  Ada Byron  Active  operators",
            "ben@example.org  Ben Byron  Invited  operators",
        ]
        assert list(states_people.wrong_memberships(DEFAULT_DB_ALIAS)) == []
        events = AuditEvent.objects.filter(action="user.invited").order_by("pk")
        told = [json.loads(row.canon)["data"] for row in events]
        assert told == [{"user": f"{name}@example.org", "by": "printed"} for name in ("ada", "ben")]


class TestDeactivating:
    def test_ends_access_and_every_membership(self, here: World, signed_in: NewClient) -> None:
        amara, theirs = here.people["amara"], signed_in("amara")
        assert theirs.get("/approvals/").status_code == 200
        answer = signed_in("oskar").post(f"/ops/people/{amara.pk}/deactivate/", {"reason": "Left the company"})
        assert answer.status_code == 303
        assert theirs.get("/approvals/").status_code == 302
        assert list(amara.groups.all()) == []
        assert actions()[-3:] == ["membership.removed", "membership.removed", "user.deactivated"]
        assert list(states_people.wrong_memberships(DEFAULT_DB_ALIAS)) == []

    def test_letting_back_gives_no_group_back(self, here: World, signed_in: NewClient) -> None:
        amara, client = here.people["amara"], signed_in("oskar")
        client.post(f"/ops/people/{amara.pk}/deactivate/", {"reason": "Left the company"})
        assert client.post(f"/ops/people/{amara.pk}/reactivate/", {"reason": "Came back"}).status_code == 303
        amara.refresh_from_db()
        assert (amara.is_active, list(amara.groups.all())) == (True, [])
        assert client.post(f"/ops/people/{amara.pk}/reactivate/", {"reason": "Again"}).status_code == 409

    def test_needs_a_reason_an_operator_and_somebody_else(self, here: World, signed_in: NewClient) -> None:
        amara, oskar = (f"/ops/people/{here.people[login].pk}/deactivate/" for login in ("amara", "oskar"))
        assert signed_in("oskar").post(amara, {"reason": " "}).status_code == 422
        assert signed_in("oskar").post(oskar, {"reason": "Bored"}).status_code == 403
        assert signed_in("mei").post(amara, {"reason": "Left"}).status_code == 403
        assert signed_in("oskar", 6).post(amara, {"reason": "Left"})["Location"].startswith("/accounts/reauth")
        assert User.objects.filter(is_active=False).count() == 0


class TestGroups:
    def test_one_proposes_and_another_confirms(self, here: World, signed_in: NewClient) -> None:
        form = {"chosen": ["amara", "theo"], "reason": "Theo reviews from now on"}
        answer = signed_in("oskar").post("/ops/groups/approvers/", form)
        change = ProposedChange.objects.get()
        assert (answer.status_code, answer["Location"]) == (303, f"/ops/changes/{change.pk}/")
        assert not here.people["theo"].groups.exists()
        page = signed_in("mei").get("/ops/groups/approvers/").content.decode()
        assert change.reference in page
        confirm = {"decision": "confirm", "digest": change.digest}
        assert signed_in("mei").post(f"/ops/changes/{change.pk}/decide/", confirm).status_code == 303
        assert [group.name for group in here.people["theo"].groups.all()] == ["approvers"]
        assert list(states_people.wrong_memberships(DEFAULT_DB_ALIAS)) == []

    def test_no_reason_and_no_change_come_back(self, here: World, signed_in: NewClient) -> None:
        for form, said in (
            ({"chosen": ["theo"], "reason": "short"}, "at least 10 characters"),
            ({"chosen": ["amara"], "reason": "A good reason"}, "Nothing would change"),
        ):
            answer = signed_in("oskar").post("/ops/groups/approvers/", form)
            assert (answer.status_code, said in answer.content.decode()) == (422, True)

    def test_a_new_group_is_reached_by_its_name(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        assert client.get("/ops/groups/?name=payments-platform")["Location"] == "/ops/groups/payments-platform/"
        assert "is one word" in client.get("/ops/groups/?name=two+words").content.decode()
        assert client.get("/ops/groups/two words/").status_code == 404


class TestTeams:
    def test_a_new_team_gets_people_at_once_and_accounts_by_two(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        assert client.post("/ops/add-team/", {"name": "Check out"})["Location"] == "/ops/teams/check-out/"
        page = "/ops/teams/check-out/"
        assert client.post(page, {"part": "members", "members-chosen": ["eve"]}).status_code == 303
        team = Team.objects.get(slug="check-out")
        assert [user.username for user in team.members.all()] == ["eve"]
        asked = {"part": "accounts", "accounts-chosen": [STAGING], "accounts-reason": "Their services run there"}
        assert client.post(page, asked)["Location"] == f"/ops/changes/{ProposedChange.objects.get().pk}/"
        assert list(team.accounts.all()) == []
        assert client.post(page, {"part": "members", "members-chosen": []}).status_code == 303
        assert list(team.members.all()) == []
        assert list(states_people.wrong_memberships(DEFAULT_DB_ALIAS)) == []

    def test_a_known_name_and_no_change_come_back(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        assert client.post("/ops/add-team/", {"name": "Orders"}).status_code == 422
        same = {"part": "members", "members-chosen": ["rosa", "theo"]}
        assert client.post("/ops/teams/orders/", same).status_code == 422
        assert client.post("/ops/teams/orders/", {"part": "members", "members-chosen": ["x"]}).status_code == 422


class TestRecords:
    def test_four_answers_register_an_aws_account_that_nobody_may_use(self, here: World, signed_in: NewClient) -> None:
        page = signed_in("oskar").get("/ops/accounts/add/").content.decode()
        typed = {"number": "7777 8888 9999", "name": "pay", "environment": "staging", "owner": "pay-owners"}
        preset = {"role_path": "/", "policy_path": "/", "partition": "aws"}
        assert all(f'name="{name}" value="{value}"' in page for name, value in preset.items() if name != "partition")
        answer = signed_in("oskar").post("/ops/accounts/add/", {**typed, **preset})
        assert (answer.status_code, answer["Location"]) == (303, "/ops/accounts/777788889999/")
        account = AwsAccount.objects.get(number="777788889999")
        assert (account.owner.name, list(account.teams.all()), actions()[-1]) == ("pay-owners", [], "account.added")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"number": "123"}, "12 digits"),
            ({"number": PROD}, "registered already"),
            ({"name": "orders-prod"}, "name of its own"),
            ({"environment": "two words"}, "one word"),
            ({"owner": "two words"}, "name of a group"),
            ({"role_path": "codedeploy"}, "path"),
            ({"boundary": f"arn:aws:iam::{PROD}:policy/B"}, "policy of this AWS account"),
            ({"tag_keys": "team, aws:owner"}, "begin with aws: are reserved"),
            ({"required_tags": "cost{center}"}, "Tags take letters"),
            ({"tag_keys": "team", "required_tags": "cost-center"}, "among the tag keys: cost-center"),
        ],
    )
    def test_wrong_answers_come_back(self, here: World, signed_in: NewClient, wrong: Any, said: str) -> None:
        typed = {**RECORD, "name": "pay", "number": "777788889999", "partition": "aws"}
        answer = signed_in("oskar").post("/ops/accounts/add/", {**typed, **wrong})
        assert (answer.status_code, said in answer.content.decode()) == (422, True)
        assert AwsAccount.objects.count() == 2

    def test_another_record_waits_for_another_person(self, here: World, signed_in: NewClient) -> None:
        page = signed_in("oskar").get(f"/ops/accounts/{STAGING}/change/").content.decode()
        assert 'name="name" value="orders-staging"' in page
        answer = signed_in("oskar").post(f"/ops/accounts/{STAGING}/change/", RECORD)
        change = ProposedChange.objects.get()
        assert (answer.status_code, answer["Location"]) == (303, f"/ops/changes/{change.pk}/")
        assert AwsAccount.objects.get(number=STAGING).role_path == "/"
        confirm = {"decision": "confirm", "digest": change.digest}
        assert signed_in("mei").post(f"/ops/changes/{change.pk}/decide/", confirm).status_code == 303
        assert AwsAccount.objects.get(number=STAGING).role_path == "/codedeploy/"

    def test_the_tags_of_its_roles_are_lists(self, here: World, signed_in: NewClient) -> None:
        typed = {**RECORD, "name": "pay", "number": "777788889999", "partition": "aws"}
        lists = {"tag_keys": "team,cost-center ,Team", "required_tags": " cost-center"}
        assert signed_in("oskar").post("/ops/accounts/add/", {**typed, **lists}).status_code == 303
        account = AwsAccount.objects.get(number="777788889999")
        assert (account.tag_keys, account.required_tags) == ("cost-center, team", "cost-center")
        shown = text_of(signed_in("oskar").get("/ops/accounts/777788889999/"))
        assert "cost-center, team; each role must carry cost-center" in shown


def test_the_verbs_themselves_ask_for_an_operator(here: World) -> None:
    mei, theo = here.people["mei"], here.people["theo"]
    by = {"user": mei, "signed_in_at": world.now(), "actor": world.actor(mei), "at": world.now()}
    names = {"email": "nia@example.org", "first_name": "Nia", "last_name": "Holt"}
    record = {"number": "777788889999", "name": "pay", "environment": "staging", "owner": "pay-owners"}
    (backup,) = (item for item in first_run.setup_items(world.now()) if item.key == "backup")
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (people.invite, names),
        (people.deactivate, {"person_id": theo.pk, "reason": "Left"}),
        (people.reactivate, {"person_id": theo.pk, "reason": "Back"}),
        (organisation.add_account, record),
        (organisation.add_team, {"slug": "", "name": "Pay", "accounts": ()}),
        (organisation.set_team_members, {"slug": "orders", "logins": []}),
        (set_up.say, {"item": backup, "state": "done", "reason": "It is"}),
    ]
    for verb, arguments in calls:
        with pytest.raises(NotAllowed, match="for operators"):
            verb(**arguments, **by)
        assert actions()[-1] == "verb.refused"
