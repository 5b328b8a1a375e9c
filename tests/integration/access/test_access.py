"""Every address, method and person: who gets in, and what that changes, held against the table that people wrote.

`table.txt` is the promise and says how it is read. Each cell is one request: its status, the rows and events that it
changed, and the reason of a refusal must be exactly those of the table. Afterwards everything is undone.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import Http404
from django.test import override_settings
from django.urls import resolve

from portal import urls as product
from tests.integration.access.calls import call_of
from tests.integration.access.playing import Played
from tests.integration.access.reading import COLUMNS, METHODS, Row, WrongTable, addresses, read_table
from tests.integration.access.watching import Seen
from tests.integration.access.world import WHOSE

TABLE = read_table()
# Below these, django-allauth asks only whether somebody is signed in, and by what they could confirm: the requester has
# a password, the operator has none.
SIGNING_IN, SIGNS_IN = "/accounts/", {"anonymous", "requester", "operator"}
OTHERS = ("PUT", "PATCH", "DELETE", "OPTIONS")


def spelled(seen: Seen) -> str:
    """The cell that the answer would be."""
    for word, address in (("in", "/accounts/login/?next="), ("again", "/accounts/reauthenticate/")):
        if seen.status == 302 and seen.location.startswith(address):
            return word
    letters = {code: letter for letter, code in TABLE.letters.items()}
    return f"{seen.status}{letters.get(seen.refusal, f' {seen.refusal}') if seen.refusal else ''}"


def wrong_cells(test: Played, row: Row) -> list[str]:
    """Sends the row as each person and returns what differs from the table."""
    wrong = []
    for column, cell in zip(COLUMNS, row.cells, strict=True):
        if cell == "-":
            continue
        seen = test.send(column, row.method, call_of(row, test.here))
        succeeds = cell[0] in "23" and len(cell) == 3
        changes = sorted(row.changes) if succeeds else []
        if spelled(seen) != cell:
            wrong.append(f"{column}: {spelled(seen)}, not {cell}")
        elif sorted(seen.changes) != changes:
            wrong.append(
                f"{column}: changed {' '.join(seen.changes) or 'nothing'}, not {' '.join(changes) or 'nothing'}"
            )
    return wrong


def _test_of(row: Row) -> Callable[[Played], None]:
    def test(self: Played) -> None:
        wrong = wrong_cells(self, row)
        if wrong:
            self.fail(f"line {row.line}, {row}\n" + "\n".join(wrong))

    return test


def rows_as_tests(urls: str) -> Callable[[type[Played]], type[Played]]:
    """Gives a class one test for each row of these addresses."""

    def decorate(case: type[Played]) -> type[Played]:
        for row in TABLE.rows:
            if row.urls == urls:
                setattr(case, f"test_line_{row.line:03}_{str(row).replace('/', '_').replace(' ', '_')}", _test_of(row))
        return case

    return decorate


@rows_as_tests("product")
class TestTheProduct(Played):
    def test_a_post_without_its_token_changes_nothing(self) -> None:
        for row in TABLE.rows:
            if row.method != "POST" or row.urls != "product" or row.sent == "password" or not row.changes:
                continue
            column = next(c for c, cell in zip(COLUMNS, row.cells, strict=True) if cell[0] in "23")
            seen = self.send(column, "POST", call_of(row, self.here), strict=True)
            assert (seen.status, seen.changes) == (403, ()), row

    def test_no_other_method_is_taken(self) -> None:
        for row in {row.address: row for row in TABLE.rows if row.urls == "product"}.values():
            if row.address.startswith(
                (SIGNING_IN, "/invited/")
            ):  # others' views: they take PUT for POST, with its token
                continue
            for method in OTHERS:
                seen = self.send("operator", method, call_of(row, self.here))
                assert (seen.status, seen.changes) == (405, ()), f"{method} {row.address}"

    def test_what_is_shown_can_be_asked_for_by_head(self) -> None:
        for row in TABLE.rows:
            if row.urls != "product" or row.method != "GET" or row.changes or not row.thing.endswith(("-", "own")):
                continue
            if row.cells[-1] == "200":
                seen = self.send("operator", "HEAD", call_of(row, self.here))
                assert (seen.status, seen.changes) == (200, ()), row.address


@rows_as_tests("demo")
class TestTheDemo(Played):
    things = False

    @classmethod
    def setUpClass(cls) -> None:
        mails = cls.enterClassContext(tempfile.TemporaryDirectory())
        demo = {"ROLEDESK_DEMO": True, "ROOT_URLCONF": "portal.demo.urls", "EMAIL_FILE_PATH": mails}
        cls.enterClassContext(override_settings(**demo))
        super().setUpClass()


class TestTheTable:
    def test_has_every_address_and_method(self) -> None:
        named = {(row.address, row.method) for row in TABLE.rows if row.urls == "product"}
        there = {(address, method) for address in addresses(product.urlpatterns) for method in METHODS}
        assert named == there

    def test_has_every_address_of_the_demo(self, settings: Any) -> None:
        settings.ROLEDESK_DEMO = True
        from portal.demo import urls as demo

        named = {(row.address, row.method) for row in TABLE.rows if row.urls == "demo"}
        own = [pattern for pattern in demo.urlpatterns if not hasattr(pattern, "url_patterns")]
        assert named == {(address, method) for address in addresses(own) for method in METHODS}

    def test_has_every_person_once_for_each_thing_that_is_sent(self) -> None:
        told = Counter(
            (row.urls, row.method, row.address, row.sent, row.thing, column)
            for row in TABLE.rows
            for column, cell in zip(COLUMNS, row.cells, strict=True)
            if cell != "-"
        )
        assert [key for key, count in told.items() if count > 1] == []
        for *key, address, sent, thing in {key[:5] for key in told}:
            few = address.startswith(SIGNING_IN) and key[0] == "product"
            people = {column for column in COLUMNS if (*key, address, sent, thing, column) in told}
            assert people == (SIGNS_IN if few else set(COLUMNS)), (address, sent, thing)

    def test_has_every_thing_of_a_request_for_each_whose_it_may_be(self) -> None:
        """But where the method is never taken, which is about no thing."""
        for row in TABLE.rows:
            state, _, whose = row.thing.partition("/")
            if "<request_id>" not in row.address or "405" in row.cells or whose not in WHOSE:
                continue
            for other in WHOSE:
                key = (row.method, row.address, row.sent, f"{state}/{other}")
                assert key in {(r.method, r.address, r.sent, r.thing) for r in TABLE.rows}, key

    def test_is_written_by_no_program(self) -> None:
        here = Path(__file__).parent
        for source in here.glob("*.py"):
            assert not {".write_text(", ".open(", "open("} & set(source.read_text().split()), source

    def test_production_knows_no_address_of_the_demo(self) -> None:
        for row in TABLE.rows:
            if row.urls == "demo" and not row.address.startswith(SIGNING_IN):
                with pytest.raises(Http404):
                    resolve(row.address)

    @pytest.mark.parametrize(
        "line", ["GET / - - 200", "GET / - - " + "200x " * 9, 'GET / - - " ' + "200 " * 8, "GET / - - " + "maybe " * 9]
    )
    def test_is_refused_where_it_means_nothing(self, line: str) -> None:
        with pytest.raises(WrongTable):
            read_table(line)
