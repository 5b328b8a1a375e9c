"""Single sign-on: who comes in, what the provider's groups give and take, and that no e-mail address opens a door.

Only what crosses the network is ours; the browser lane has a real provider.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.db import DEFAULT_DB_ALIAS
from django.test import Client
from django.urls import reverse
from requests import ConnectionError as NotReached

from iamroles import invitations, permissions
from iamroles.audit import states_people
from iamroles.models import (
    AuditEvent,
    Decision,
    GroupMembership,
    Membership,
    ProposedChange,
    ProviderGroup,
    ProviderWord,
    Request,
    User,
)
from iamroles.workflow import changes, memberships, organisation, provider_groups
from iamroles.workflow.verbs import Invalid, NotAllowed
from portal.settings.single_sign_on import PROVIDER, SingleSignOn
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.provider import CONFIGURATION, Provider
from tests.integration.web_review.test_confirming import confirm, decide
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import World, actor, now

pytestmark = pytest.mark.django_db
CORP = SingleSignOn(
    issuer=CONFIGURATION["issuer"],
    client_id="roledesk",
    secret="s",
    name="Corp",
    groups_claim="groups",
    scopes=("openid", "profile", "email"),
    creates_people=True,
    mfa_values=(),
    more_origins=(),
)
NIA = {"sub": "nia-at-corp", "email": "nia@example.org", "given_name": "Nia", "family_name": "Holt"}


@pytest.fixture
def corp(provider: Provider, settings: Any, here: World) -> Provider:
    """The provider, configured to let people in; `iam-security` there fills security, `app-orders` the team."""
    settings.ROLEDESK_SINGLE_SIGN_ON = CORP
    fill(here, "security", "iam-security")
    fill(here, "team:orders", "app-orders")
    provider.claims = {**NIA, "auth_time": int(time.time())}
    return provider


def fill(here: World, target: str, *values: str) -> ProposedChange:
    """Two operators say which of the provider's groups fill something."""
    oskar, ines = here.people["oskar"], here.people["ines"]
    change = changes.propose(
        subject="provider_groups",
        target=target,
        content={"values": sorted(values)},
        reason="As the directory has it",
        user=oskar,
        signed_in_at=now(),
        actor=actor(oskar),
        at=now(),
    )
    return changes.confirm(
        change_id=change.pk, seen_digest=change.digest, user=ines, signed_in_at=now(), actor=actor(ines), at=now()
    )


def come(provider: Provider, client: Client | None = None, process: str = "login", **claims: Any) -> Any:
    """Signs in at the provider. Returns the client and the portal's answer to what the provider said."""
    provider.claims = {**provider.claims, **claims}
    client = client or Client()
    sent = client.post(f"{reverse('openid_connect_login', args=['corp'])}?process={process}")
    state = parse_qs(urlsplit(sent["Location"]).query)["state"][0]
    return client, client.get(reverse("openid_connect_callback", args=["corp"]), {"code": "c", "state": state})


def groups_of(person: User) -> set[str]:
    return {*permissions.group_names(User.objects.get(pk=person.pk)), *person.teams.values_list("slug", flat=True)}


def refusals() -> list[str]:
    return list(AuditEvent.objects.filter(outcome="refused").order_by("id").values_list("code", flat=True))


class TestComingIn:
    def test_the_first_sign_in_makes_the_person_with_what_their_groups_fill(self, corp: Provider) -> None:
        client, answer = come(corp, groups=["iam-security", "app-orders", "everybody"])
        nia = User.objects.get(username="nia@example.org")
        assert (answer.status_code, client.session["_auth_user_id"]) == (302, str(nia.pk))
        assert (nia.display_name, nia.email, nia.has_usable_password()) == ("Nia Holt", "nia@example.org", False)
        assert groups_of(nia) == {"security", "orders"}
        assert ProviderWord.objects.get(user=nia).values == ["app-orders", "everybody", "iam-security"]
        events = AuditEvent.objects.filter(object_id=str(nia.pk), object_type="user").order_by("id")
        assert list(events.values_list("action", flat=True)) == [
            *("user.created", "credential.changed", "membership.granted", "membership.granted", "session.started")
        ]
        granted = events.filter(action="membership.granted").first()
        assert granted is not None
        assert (granted.actor_type, granted.actor_id) == ("system", "identity_provider")
        assert '"cause":"identity provider"' in granted.canon
        assert Membership.objects.get(user=nia).added_by is None

    def test_an_invited_persons_first_sign_in_makes_nobody_where_the_provider_may_not(
        self, corp: Provider, settings: Any
    ) -> None:
        settings.ROLEDESK_SINGLE_SIGN_ON = SingleSignOn(**{**CORP.__dict__, "creates_people": False})
        client, answer = come(corp, groups=["iam-security"])
        assert (answer.status_code, "Nobody has invited you" in text_of(answer)) == (403, True)
        assert "_auth_user_id" not in client.session
        assert (User.objects.filter(email=NIA["email"]).exists(), refusals()) == (False, ["not_invited"])

    @pytest.mark.parametrize(
        ("claims", "says", "code"),
        [
            ({"groups": ["everybody"]}, "groups has a place in Roledesk", "no_group"),
            ({}, "groups has a place in Roledesk", "no_group"),
            ({"groups": {"iam-security": True}}, "groups has a place in Roledesk", "no_group"),
            ({"groups": ["iam-security"], "email": None}, "usable e-mail address", "no_address"),
            ({"groups": ["iam-security"], "email_verified": False}, "usable e-mail address", "no_address"),
            ({"groups": ["iam-security"], "email": "MEI@example.org"}, "belongs to somebody here", "known_address"),
        ],
    )
    def test_who_does_not_come_in(self, corp: Provider, claims: dict[str, Any], says: str, code: str) -> None:
        people = User.objects.count()
        client, answer = come(corp, **claims)
        assert (answer.status_code, says in text_of(answer)) == (403, True)
        assert (User.objects.count(), SocialAccount.objects.count(), refusals()) == (people, 0, [code])
        assert "_auth_user_id" not in client.session

    def test_another_issuer_is_nobody(self, corp: Provider, settings: Any) -> None:
        settings.ROLEDESK_SINGLE_SIGN_ON = SingleSignOn(**{**CORP.__dict__, "issuer": "https://id.corp.test"})
        _, answer = come(corp, groups=["iam-security"])
        assert (answer.status_code, "under another name" in text_of(answer)) == (403, True)
        assert not User.objects.filter(email=NIA["email"]).exists()

    def test_somebody_deactivated_stays_out(self, here: World, corp: Provider) -> None:
        come(corp, groups=["iam-security"])
        nia = User.objects.get(email=NIA["email"])
        User.objects.filter(pk=nia.pk).update(is_active=False)
        client, _ = come(corp, groups=["iam-security", "app-orders"])
        assert "_auth_user_id" not in client.session
        assert not nia.teams.filter(slug="everybody").exists()

    def test_a_provider_that_does_not_answer_is_told(self, corp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Any) -> None:
            raise NotReached("refused")

        monkeypatch.setattr(OpenIDConnectOAuth2Adapter, "openid_config", property(refuse))
        answer = Client().post(reverse("openid_connect_login", args=["corp"]))
        assert (answer.status_code, "did not answer" in text_of(answer)) == (503, True)


class TestInvited:
    def open(self, person: User) -> Client:
        client = Client()
        client.get(client.get(invitations.path(person))["Location"])
        return client

    def take_up(self, corp: Provider, person: User, client: Client, **claims: Any) -> Any:
        corp.claims = {**corp.claims, **claims}
        page = client.get(invitations.path(person), follow=True)
        assert "Sign in with Corp instead" in text_of(page)
        door = reverse("invited_at_provider", args=[page.resolver_match.kwargs["uidb64"], "corp"])
        sent = client.post(door)
        state = parse_qs(urlsplit(sent["Location"]).query)["state"][0]
        return client.get(reverse("openid_connect_callback", args=["corp"]), {"code": "c", "state": state})

    def test_an_invitation_is_taken_up_by_signing_in_there(self, here: World, corp: Provider) -> None:
        eve, client = here.people["eve"], Client()
        answer = self.take_up(corp, eve, client, email="Eve@example.org", groups=["app-orders"])
        assert (answer.status_code, client.session["_auth_user_id"]) == (302, str(eve.pk))
        assert groups_of(eve) == {"orders"}
        assert b"does not work any more" in Client().get(invitations.path(eve)).content

    def test_not_by_another_address(self, here: World, corp: Provider) -> None:
        client = Client()
        answer = self.take_up(corp, here.people["eve"], client, email="mallory@example.org", groups=["app-orders"])
        assert (answer.status_code, "another e-mail address" in text_of(answer)) == (403, True)
        assert (SocialAccount.objects.count(), refusals()) == (0, ["another_address"])

    def test_not_without_the_link(self, here: World, corp: Provider) -> None:
        page = Client().get(invitations.path(here.people["eve"]), follow=True)
        door = reverse("invited_at_provider", args=[page.resolver_match.kwargs["uidb64"], "corp"])
        assert Client().post(door).status_code == 404


class TestConnecting:
    def test_somebody_with_a_password_connects_their_own_address_only(
        self, here: World, corp: Provider, signed_in: NewClient
    ) -> None:
        mei = here.people["mei"]
        mei.set_password("a long password of hers")
        mei.save()
        _, answer = come(corp, signed_in("mei"), "connect", email="other@example.org")
        assert (answer.status_code, SocialAccount.objects.count()) == (403, 0)
        client = signed_in("mei")
        client.post(reverse("account_reauthenticate"), {"password": "a long password of hers"})
        come(corp, client, "connect", email=mei.email)
        account = SocialAccount.objects.get(user=mei)
        assert AuditEvent.objects.filter(action="credential.changed", object_id=str(mei.pk)).count() == 1
        with pytest.raises(Exception, match="Only an operator"):
            get_adapter().validate_disconnect(account, None)

    def test_not_by_an_address_that_the_provider_doubts(
        self, here: World, corp: Provider, signed_in: NewClient
    ) -> None:
        mei = here.people["mei"]
        _, answer = come(corp, signed_in("mei"), "connect", email=mei.email, email_verified=False)
        assert (answer.status_code, SocialAccount.objects.count(), refusals()) == (403, 0, ["another_address"])


class TestGroups:
    @pytest.fixture
    def nia(self, corp: Provider) -> User:
        """Nia, who came in by both of her groups."""
        come(corp, groups=["iam-security", "app-orders"])
        return User.objects.get(email=NIA["email"])

    def test_whoever_left_a_group_there_loses_it_at_the_next_sign_in(self, corp: Provider, nia: User) -> None:
        since = GroupMembership.objects.get(user=nia).since
        come(corp, groups=["iam-security"])
        assert groups_of(nia) == {"security"}
        assert GroupMembership.objects.get(user=nia).since == since
        come(corp, groups=None)
        assert groups_of(nia) == set()
        removed = AuditEvent.objects.filter(action="membership.removed", object_id=str(nia.pk))
        assert [event.actor_id for event in removed] == ["identity_provider"] * 2

    def test_coming_back_counts_from_then_on(self, corp: Provider, nia: User, high: Request) -> None:
        come(corp, groups=[])
        before = now()
        come(corp, groups=["iam-security"])
        assert GroupMembership.objects.get(user=nia).since >= before

    def test_what_the_provider_does_not_fill_is_left_alone(self, here: World, corp: Provider, nia: User) -> None:
        memberships.join(nia, here.prod.owner, now())
        come(corp, groups=[])
        assert groups_of(nia) == {here.prod.owner.name}

    def test_operators_neither_put_in_nor_take_out_whom_it_decides_about(self, here: World, nia: User) -> None:
        oskar = here.people["oskar"]
        by = {"user": oskar, "signed_in_at": now(), "actor": actor(oskar), "at": now()}
        for members in (["mei"], ["mei", "oskar"]):
            with pytest.raises(Invalid, match="which alone decides who is in security"):
                changes.propose(
                    subject="group", target="security", content={"members": members}, reason="Leaves the team", **by
                )
        with pytest.raises(Invalid, match="which alone decides who is in Orders"):
            organisation.set_team_members(slug="orders", logins=["rosa"], **by)
        change = changes.propose(
            subject="group",
            target="security",
            content={"members": sorted(["mei", "eve", nia.username])},
            reason="Eve has a password here",
            **by,
        )
        assert change.state == "waiting"

    def test_whom_operators_put_in_before_it_decides_about_too(self, here: World, corp: Provider) -> None:
        mei = here.people["mei"]
        SocialAccount.objects.create(user=mei, provider="corp", uid="mei-at-corp")
        come(corp, sub="mei-at-corp", groups=["iam-security"])
        assert groups_of(mei) == {"security"}
        assert GroupMembership.objects.get(user=mei).by_provider
        come(corp, sub="mei-at-corp", groups=["other"])
        assert groups_of(mei) == set()

    def test_what_no_longer_fills_takes_out_at_once_and_what_newly_does_at_the_sign_in(
        self, here: World, corp: Provider, nia: User
    ) -> None:
        fill(here, "security", "app-orders", "iam-security")
        fill(here, "security", "app-orders")
        assert groups_of(nia) == {"security", "orders"}
        fill(here, "security", "other")
        assert groups_of(nia) == {"orders"}
        fill(here, "security", "app-orders")
        assert groups_of(nia) == {"orders"}
        come(corp)
        assert groups_of(nia) == {"security", "orders"}

    def test_nobody_confirms_what_lets_them_in(self, here: World, corp: Provider) -> None:
        ines = here.people["ines"]
        SocialAccount.objects.create(user=ines, provider="corp", uid="ines-at-corp")
        come(corp, sub="ines-at-corp", groups=["everybody"])
        with pytest.raises(NotAllowed, match="puts you into the group"):
            fill(here, "approvers", "everybody")

    def test_a_row_by_sql_is_found(self, here: World, corp: Provider, nia: User) -> None:
        assert list(states_people.wrong_provider_groups(DEFAULT_DB_ALIAS)) == []
        assert list(states_people.wrong_memberships(DEFAULT_DB_ALIAS)) == []
        ProviderGroup.objects.create(target="approvers", value="everybody")
        (said,) = states_people.wrong_provider_groups(DEFAULT_DB_ALIAS)
        assert "that fill approvers are not those that were confirmed" in said


class TestPasswords:
    """Beside the provider: a password is no way around what it says, nor around the second factor that it asks for."""

    def test_none_comes_by_mail_to_who_has_none(self, here: World, corp: Provider, mailoutbox: list[Any]) -> None:
        come(corp, groups=["iam-security"])
        for address in (NIA["email"], here.people["eve"].email):
            answer = Client().post(reverse("account_reset_password"), {"email": address})
            assert answer["Location"] == reverse("account_reset_password_done")
        assert [mail.to for mail in mailoutbox] == [[NIA["email"]], [here.people["eve"].email]]
        for mail in mailoutbox:
            assert "/password/reset/" not in mail.body
            assert "You have no password" in mail.body

    def test_whoever_is_in_a_group_by_the_provider_signs_in_there(
        self, here: World, corp: Provider, settings: Any
    ) -> None:
        mei = here.people["mei"]
        mei.set_password("a long password of hers")
        mei.save()
        SocialAccount.objects.create(user=mei, provider="corp", uid="mei-at-corp")
        come(corp, sub="mei-at-corp", groups=["iam-security"])

        def sign_in() -> tuple[int, bool]:
            client = Client()
            answer = client.post(reverse("account_login"), {"login": "mei", "password": "a long password of hers"})
            return answer.status_code, "_auth_user_id" in client.session

        assert (sign_in(), refusals()) == ((403, False), ["provider_decides"])
        settings.ROLEDESK_SINGLE_SIGN_ON = None
        assert sign_in() == (302, True)
        settings.ROLEDESK_SINGLE_SIGN_ON = CORP
        come(corp, sub="mei-at-corp", groups=[])
        assert (sign_in(), groups_of(mei)) == ((302, True), set())


class TestDeciding:
    @pytest.fixture
    def mei(self, here: World, corp: Provider, signed_in: NewClient) -> Callable[..., Client]:
        """Mei, of security by the provider, whose sign-in and whose provider's word are so many minutes old."""
        mei = here.people["mei"]
        SocialAccount.objects.create(user=mei, provider="corp", uid="mei-at-corp")
        come(corp, sub="mei-at-corp", groups=["iam-security"])

        def make(minutes: float, told: float) -> Client:
            ProviderWord.objects.update(at=datetime.now(UTC) - timedelta(minutes=told))
            return signed_in("mei", minutes=minutes)

        return make

    def test_whoever_was_removed_there_cannot_decide_any_more(self, high: Request, corp: Provider, mei: Any) -> None:
        client = mei(6, told=6)
        assert decide(client, high).status_code == 302
        corp.claims |= {"groups": [], "auth_time": int(time.time())}
        confirm(client, reverse("approval_review", args=[high.pk]))
        assert decide(client, high).status_code == 403
        assert Decision.objects.count() == 0

    def test_a_second_factor_here_does_not_replace_the_providers_word(
        self, here: World, high: Request, corp: Provider, mei: Any
    ) -> None:
        Authenticator.objects.create(user=here.people["mei"], type="totp", data={"secret": "x"})
        client = mei(0, told=6)
        assert decide(client, high).status_code == 302
        door = client.get(reverse("account_reauthenticate"), {"next": "/"})
        assert door["Location"].startswith(reverse("confirm_at_provider", args=["corp"]))
        corp.claims |= {"auth_time": int(time.time())}
        confirm(client, reverse("approval_review", args=[high.pk]))
        assert decide(client, high).status_code == 303

    def test_a_provider_that_does_not_say_when_it_looked_still_says_the_groups(
        self, here: World, high: Request, corp: Provider, mei: Any
    ) -> None:
        """Then a second factor here proves the person, within five minutes of that word."""
        Authenticator.objects.create(user=here.people["mei"], type="totp", data={"secret": "x"})
        client = mei(0, told=6)
        del corp.claims["auth_time"]
        _, answer = confirm(client, reverse("approval_review", args=[high.pk]))
        assert answer.status_code == 403
        assert decide(client, high).status_code == 303


class TestPages:
    def test_the_page_says_what_fills_what_and_what_fills_nothing(
        self, here: World, corp: Provider, signed_in: NewClient
    ) -> None:
        come(corp, groups=["iam-security", "everybody"])
        page = text_of(signed_in("oskar").get("/ops/sign-on/"))
        for word in ("id.example.test", "iam-security", "app-orders", "Told, but filling nothing", "everybody"):
            assert word in page, word

    def test_two_people_change_it(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        typed = {"values": " 7f3c-9d \n\niam-approvers\n", "reason": "Entra sends ids"}
        answer = client.post("/ops/sign-on/approvers/", typed)
        change = ProposedChange.objects.get()
        assert (answer.status_code, answer["Location"]) == (303, f"/ops/changes/{change.pk}/")
        assert change.proposed() == {"values": ["7f3c-9d", "iam-approvers"]}
        assert "iam-approvers" in text_of(client.get(f"/ops/changes/{change.pk}/"))
        confirming = {"decision": "confirm", "digest": change.digest}
        assert client.post(f"/ops/changes/{change.pk}/decide/", confirming).status_code == 403
        assert signed_in("ines").post(f"/ops/changes/{change.pk}/decide/", confirming).status_code == 303
        assert sorted(provider_groups.filled()["approvers"]) == ["7f3c-9d", "iam-approvers"]

    def test_an_old_sign_in_changes_nothing_and_keeps_what_was_typed(self, here: World, signed_in: NewClient) -> None:
        client, path = signed_in("oskar", minutes=6), "/ops/sign-on/approvers/"
        answer = client.post(path, {"values": "iam-approvers", "reason": "Entra sends ids"})
        assert (answer.status_code, ProposedChange.objects.count()) == (302, 0)
        assert answer["Location"] == "/accounts/reauthenticate/?next=%2Fops%2Fsign-on%2Fapprovers%2F"
        page = client.get(path).content.decode()
        assert ("iam-approvers" in page, "Entra sends ids" in page) == (True, True)

    @pytest.mark.parametrize("typed", ["x" * 201, "\n".join(map(str, range(51)))])
    def test_what_is_too_much_comes_back(self, here: World, signed_in: NewClient, typed: str) -> None:
        answer = signed_in("oskar").post("/ops/sign-on/team:orders/", {"values": typed, "reason": "As there, too"})
        assert (answer.status_code, "at most 50 groups" in text_of(answer)) == (422, True)

    def test_there_is_nothing_else_to_fill(self, here: World, signed_in: NewClient) -> None:
        assert signed_in("oskar").get("/ops/sign-on/team:nowhere/").status_code == 404

    def test_without_a_provider_the_page_says_how_one_is_connected(
        self, here: World, signed_in: NewClient, settings: Any
    ) -> None:
        settings.BASE_URL, settings.ROLEDESK_SINGLE_SIGN_ON = "https://roledesk.example.com", None
        page = re.sub(r"<wbr>", "", text_of(signed_in("oskar").get("/ops/sign-on/")))
        assert f"https://roledesk.example.com/accounts/oidc/{PROVIDER}/login/callback/" in page
        for name in (
            "ROLEDESK_OIDC_ISSUER",
            "ROLEDESK_OIDC_CLIENT_ID",
            "ROLEDESK_OIDC_CLIENT_SECRET",
            "docs/sign-on.md",
        ):
            assert name in page
