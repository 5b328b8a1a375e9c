"""One's own sessions: which browser since when, ending one or all others, and nobody else's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from iamroles.audit import config
from iamroles.models import AuditEvent
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import World

PAGE = "/accounts/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
PASSWORD = "long-and-secret-1"


class Browsers:
    """Makes signed-in browsers whose sessions are listed."""

    def __init__(self, here: World, signed_in: NewClient) -> None:
        self._here, self._signed_in = here, signed_in

    def __call__(self, login: str, agent: str, *, minutes: float = 0) -> tuple[Client, UserSession]:
        client = self._signed_in(login, minutes)
        row = UserSession.objects.create(
            user=self._here.people[login],
            ip="10.0.0.7",
            session_key=client.session.session_key,
            user_agent=agent,
            created_at=datetime(2026, 11, 23, 14, 2, tzinfo=UTC),
        )
        return client, row


@pytest.fixture
def browsers(here: World, signed_in: NewClient) -> Browsers:
    return Browsers(here, signed_in)


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_one_of_before_a_deactivation_stays_ended_when_the_person_is_let_back(
    here: World, browsers: Browsers, signed_in: NewClient
) -> None:
    theirs, row = browsers("amara", FIREFOX)
    mine, _ = browsers("mei", FIREFOX)
    assert is_in(theirs)
    acts = f"/ops/people/{here.people['amara'].pk}/"
    for act in ("deactivate", "reactivate"):
        assert signed_in("oskar").post(f"{acts}{act}/", {"reason": "Her laptop was stolen"}).status_code == 303
    assert (is_in(theirs), is_in(mine), list(UserSession.objects.filter(user=row.user))) == (False, True, [])
    ended = json.loads(AuditEvent.objects.get(action="session.ended").canon)
    assert (ended["actor"]["name"], ended["object"]["id"]) == ("Oskar Novak", str(row.user_id))
    assert ended["data"] == {"cause": "deactivated", "session": config.session_hash(row.session_key)}


def test_the_page_says_which_browser_and_when(browsers: Browsers) -> None:
    mei, _ = browsers("mei", FIREFOX)
    assert "signed in nowhere else" in text_of(mei.get(PAGE))
    browsers("mei", CHROME)
    browsers("amara", "curl/8")
    page = text_of(mei.get(PAGE))
    assert "Firefox on Linux" in page
    assert "unknown browser" not in page
    (button,) = re.findall(r"<button[^>]*name=\"session\".*?</button>", page, re.DOTALL)
    assert re.sub(r"<[^>]+>", "", button) == "Sign out Chrome on Windows, signed in 23 Nov 2026, 14:02 UTC"


def test_ends_one_other_and_says_which(browsers: Browsers) -> None:
    mei, _ = browsers("mei", FIREFOX)
    gone, row = browsers("mei", CHROME)
    stays, _ = browsers("mei", FIREFOX)
    answer = mei.post(PAGE, {"session": row.pk})
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    assert "Chrome on Windows, signed in 23 Nov 2026, 14:02 UTC, is signed out." in text_of(mei.get(PAGE))
    assert (is_in(mei), is_in(gone), is_in(stays)) == (True, False, True)
    (event,) = AuditEvent.objects.filter(action="session.ended")
    told = json.loads(event.canon)
    assert told["data"] == {"cause": "ended from another session", "session": config.session_hash(row.session_key)}
    assert (told["actor"]["name"], told["object"]["name"]) == ("Mei Tanaka", "Mei Tanaka")
    assert row.session_key not in event.canon
    mei.post(PAGE, {"session": row.pk})
    assert "had ended already" in text_of(mei.get(PAGE))


def test_ends_all_others(browsers: Browsers) -> None:
    mei, _ = browsers("mei", FIREFOX)
    others = [browsers("mei", CHROME)[0] for _ in range(2)]
    assert "Sign out all 2 other sessions" in text_of(mei.get(PAGE))
    assert mei.post(PAGE).status_code == 303
    assert "2 other sessions are signed out." in text_of(mei.get(PAGE))
    assert [is_in(client) for client in (mei, *others)] == [True, False, False]


@pytest.mark.parametrize("named", ["", "x", "²", "9" * 30])
def test_what_names_no_session_ends_none(browsers: Browsers, named: str) -> None:
    mei, _ = browsers("mei", FIREFOX)
    other, _ = browsers("mei", CHROME)
    assert mei.post(PAGE, {"session": named}).status_code == 303
    assert is_in(other)


def test_ends_nobody_elses_and_not_the_own(browsers: Browsers) -> None:
    mei, own = browsers("mei", FIREFOX)
    amara, row = browsers("amara", CHROME)
    mei.post(PAGE, {"session": row.pk})
    mei.post(PAGE, {"session": own.pk})
    assert "had ended already" in text_of(mei.get(PAGE))
    mei.post(PAGE)
    assert (is_in(mei), is_in(amara)) == (True, True)


def test_an_old_session_confirms_first_and_then_it_is_done(here: World, browsers: Browsers) -> None:
    here.people["mei"].set_password(PASSWORD)
    here.people["mei"].save()
    mei, _ = browsers("mei", FIREFOX, minutes=6)
    other, row = browsers("mei", CHROME)
    answer = mei.post(PAGE, {"session": row.pk})
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("account_reauthenticate"))
    assert is_in(other)
    answer = mei.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": PAGE})
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    assert (is_in(mei), is_in(other)) == (True, False)


def test_without_a_way_to_confirm_an_old_session_ends_nothing(browsers: Browsers) -> None:
    mei, _ = browsers("mei", FIREFOX, minutes=6)
    other, _ = browsers("mei", CHROME)
    assert mei.post(PAGE).status_code == 403
    assert is_in(other)
