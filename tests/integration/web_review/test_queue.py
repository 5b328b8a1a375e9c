"""The queue: who finds what in which tab, its order, its pages, and that rows cost no queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from iamroles.models import AwsAccount, Request
from iamroles.pages import frame, queue
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World


def references(response: Any) -> list[str]:
    return re.findall(r'<a href="/(?:approvals|requests)/(REQ-\d{6})/">', response.content.decode())


def counts(response: Any) -> dict[str, int]:
    found = re.findall(r'<a href="\?tab=(\w+)[^>]*>[^<]*<span class="count[^>]*>(\d+)<', response.content.decode())
    return {tab: int(number) for tab, number in found}


@pytest.fixture
def three(here: World) -> list[Request]:
    """A low one, then a high one, then one that adopts (high, for the owner as well)."""
    rosa = here.people["rosa"]
    legacy = world.facts_for(here.staging, role_name="legacy")
    return [
        world.in_review(rosa, world.facts_for(here.prod)),
        world.in_review(
            rosa, world.facts_for(here.prod, role_name="full", managed_policy="full", why_full="The hooks are shared")
        ),
        world.in_review(rosa, legacy, world.existing_base(legacy)),
    ]


class TestTabs:
    def test_puts_high_first_then_the_oldest(self, three: list[Request], signed_in: NewClient) -> None:
        low, high, adopting = three
        answer = signed_in("amara").get("/approvals/")
        assert references(answer) == [high.reference, adopting.reference, low.reference]
        assert counts(answer) == {"waiting": 3, "high": 2, "accounts": 3, "all": 3, "decided": 0}

    def test_shows_owners_their_accounts(self, here: World, three: list[Request], signed_in: NewClient) -> None:
        assert len(references(signed_in("amara").get("/approvals/?tab=accounts"))) == 3
        assert references(signed_in("mei").get("/approvals/?tab=accounts")) == []

    def test_says_why_it_waits_and_who_else_can_decide(self, three: list[Request], signed_in: NewClient) -> None:
        page = signed_in("amara").get("/approvals/?tab=all").content.decode()
        assert "0 of 1 approval: approvers missing." in page
        assert "Can decide: Mei Tanaka." in page
        assert "Nobody else can decide." in signed_in("amara").get("/approvals/?risk=low").content.decode()

    def test_shows_security_the_high_ones_alone(self, three: list[Request], signed_in: NewClient) -> None:
        _, high, adopting = three
        assert references(signed_in("mei").get("/approvals/")) == [high.reference, adopting.reference]

    def test_leaves_adopting_to_the_owner(self, here: World, three: list[Request], signed_in: NewClient) -> None:
        low, high, _ = three
        amara = here.people["amara"]
        amara.groups.remove(amara.groups.get(name="orders-platform"))
        assert references(signed_in("amara").get("/approvals/")) == [high.reference, low.reference]

    def test_an_own_request_never_waits_for_oneself(
        self, here: World, three: list[Request], signed_in: NewClient
    ) -> None:
        here.people["rosa"].groups.create(name="approvers-too")
        here.people["rosa"].groups.add(here.people["amara"].groups.get(name="approvers"))
        answer = signed_in("rosa").get("/approvals/")
        assert references(answer) == []
        assert counts(answer)["all"] == 3

    def test_moves_a_decided_one_to_its_tab(self, here: World, three: list[Request], signed_in: NewClient) -> None:
        low, high, adopting = three
        world.approved(low, here.people["amara"])
        client = signed_in("amara")
        assert references(client.get("/approvals/")) == [high.reference, adopting.reference]
        assert references(client.get("/approvals/?tab=decided")) == [low.reference]

    def test_waits_again_for_whoever_took_back(self, here: World, signed_in: NewClient, three: list[Request]) -> None:
        """Somebody else's standing approval must not hide the request from who has none."""
        _, high, _ = three
        world.approved(high, here.people["amara"], here.people["mei"])
        signed_in("amara").post(f"/approvals/{high.reference}/take-back/", {})
        assert high.reference in references(signed_in("amara").get("/approvals/"))
        assert high.reference not in references(signed_in("mei").get("/approvals/"))

    def test_is_not_for_requesters(self, here: World, signed_in: NewClient) -> None:
        assert signed_in("theo").get("/approvals/").status_code == 403


class TestFilter:
    def test_narrows_by_text_account_and_risk(self, three: list[Request], signed_in: NewClient) -> None:
        low, high, adopting = three
        client = signed_in("amara")
        for query, expected in (
            ("q=legacy", [adopting]),
            (f"q={low.reference}", [low]),
            ("q=Rosa", [high, adopting, low]),
            (f"account={world.PROD}", [high, low]),
            ("risk=low", [low]),
            ("risk=low&q=legacy", []),
        ):
            found = references(client.get(f"/approvals/?{query}"))
            assert found == [row.reference for row in expected], query

    def test_keeps_the_filter_on_the_next_page(
        self, here: World, signed_in: NewClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "PAGE_SIZE", 2)
        rows = [world.in_review(here.people["rosa"], world.facts_for(here.prod, role_name=f"r{n}")) for n in range(5)]
        client = signed_in("amara")
        seen: list[str] = []
        address = "/approvals/?tab=all&risk=low"
        while address:
            answer = client.get(address)
            seen += references(answer)
            following = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', answer.content.decode())
            address = "/approvals/" + following.group(1).replace("&amp;", "&") if following else ""
        assert seen == [row.reference for row in rows]

    def test_takes_a_nonsense_cursor_for_none(self, three: list[Request], signed_in: NewClient) -> None:
        for cursor in ("x", "1.2", "1.99999999999999999.3", "../..", "１.２.３"):
            assert len(references(signed_in("amara").get("/approvals/", {"after": cursor}))) == 3, cursor


def test_rows_cost_no_queries(here: World, signed_in: NewClient, django_assert_max_num_queries: Any) -> None:
    """The same number for two rows and for nine; approvals and groups are read in bulk."""
    rosa, amara = here.people["rosa"], here.people["amara"]
    client = signed_in("mei")
    spent = []
    for size in (2, 9):
        while Request.objects.count() < size:
            facts = world.facts_for(
                here.prod,
                role_name=f"full{Request.objects.count()}",
                managed_policy="full",
                why_full="The hooks are shared",
            )
            world.approved(world.in_review(rosa, facts), amara)
        with django_assert_max_num_queries(19) as captured:
            assert len(references(client.get("/approvals/?tab=all"))) == size
        spent.append(len(captured))
    assert spent[0] == spent[1]


def test_counts_no_further_than_99(here: World, signed_in: NewClient) -> None:
    """The tabs and the navigation say "99+"; the page itself costs the same."""
    model = world.in_review(here.people["rosa"], world.facts_for(here.prod))
    values = {f.attname: getattr(model, f.attname) for f in Request._meta.concrete_fields if not f.generated}
    made = Request.objects.bulk_create([Request(**{**values, "id": None}) for _ in range(100)])
    page = signed_in("amara").get("/approvals/?tab=all").content.decode()
    assert 'All <span class="count">99+</span>' in page
    Request.objects.filter(pk__in=[row.pk for row in made[:2]]).delete()
    page = signed_in("amara").get("/approvals/?tab=all").content.decode()
    assert 'All <span class="count">99</span>' in page


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans so few rows whole; the bench measures it")
def test_finds_a_page_by_the_index_of_risk_and_age(here: World) -> None:
    by_tab = queue._by_tab(here.people["amara"], AwsAccount.objects.all())
    for tab in ("all", "high", "accounts"):
        plan = by_tab[tab][:26].explain()
        assert "request_by_risk_and_age" in plan, tab
        assert "TEMP B-TREE FOR ORDER BY" not in plan, tab


@pytest.mark.parametrize(("path", "asked"), [("/", 1), ("/approvals/", 2), ("/requests/", 1)])
def test_what_waits_is_read_once(three: list[Request], signed_in: NewClient, path: str, asked: int) -> None:
    """For the navigation, Home's block and the tab together; the queue reads its own page besides."""
    client = signed_in("amara")
    with CaptureQueriesContext(connection) as captured:
        assert '<span class="count count-hot">3</span>' in client.get(path).content.decode()
    assert sum("iamroles_askedgroup" in query["sql"] for query in captured) == asked


def test_home_counts_no_further_either(
    three: list[Request], signed_in: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says nothing of the oldest, which may be any of those that it does not read."""
    page = signed_in("amara").get("/").content.decode()
    assert re.findall(r"<dt>([a-z ]+)</dt><dd>([^<]+)", page)[:2] == [("waiting", "3"), ("high risk", "2")]
    assert "<dt>oldest</dt>" in page
    monkeypatch.setattr(frame, "COUNTED", 3)
    page = signed_in("amara").get("/").content.decode()
    assert re.findall(r"<dt>([a-z ]+)</dt><dd>([^<]+)", page) == [("waiting", "99+"), ("high risk", "2")]
