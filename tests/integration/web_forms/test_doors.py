"""What damaged or hostile input meets: a clear page and the right status, never a failure of the portal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from structlog.testing import capture_logs

from iamroles.models import ObservationOrder, ProposedChange, Request
from iamroles.web.views import errors
from tests.integration.web_forms.conftest import ROLE_ANSWERS
from tests.integration.web_forms.reading import field_errors, text_of

DEEP = '{"Statement":' + "[" * 1000 + "]" * 1000 + "}"
TWICE = '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}'
NO_NUMBERS = ("REQ-²", "REQ-٣", "REQ-", "REQ-" + "9" * 13, "REQ-" + "9" * 5000, "²")


@pytest.mark.parametrize("reference", NO_NUMBERS)
def test_a_reference_that_is_none_leads_nowhere(client: Client, reference: str) -> None:
    assert client.get("/requests/new/role/", {"draft": reference}).status_code == 404
    assert client.get("/requests/new/role/", {"from": reference}).status_code == 200
    posted = client.post("/requests/new/role/", ROLE_ANSWERS | {"draft": reference})
    assert posted.status_code == 404
    assert Request.objects.count() == 0


@pytest.mark.parametrize("version", ["²", "9" * 5000, "-1", ""])
def test_a_version_that_is_none_is_as_good_as_none(client: Client, version: str) -> None:
    client.post("/requests/new/role/", ROLE_ANSWERS | {"act": "leave"})
    row = Request.objects.get()
    values = ROLE_ANSWERS | {"draft": row.reference, "answers_version": version}
    assert client.post("/requests/new/role/", values).status_code == 303


@pytest.mark.parametrize(("character", "name"), [("\0", "U+0000"), ("\x1b", "U+001B"), ("\x85", "U+0085")])
@pytest.mark.parametrize("field", ["reason", "description", "tab", "undeclared"])
def test_a_posted_control_character_is_named_and_stores_nothing(
    client: Client, character: str, name: str, field: str
) -> None:
    for address in ("/requests/new/role/", "/requests/preview/"):
        answer = client.post(address, ROLE_ANSWERS | {field: f"before{character}after"})
        assert answer.status_code == 400
        assert f"This text contains a character that cannot be stored ({name})." in text_of(answer)
    assert Request.objects.count() == 0


def test_every_form_and_filter_refuses_it(client: Client, signed_in: Callable[[str], Client]) -> None:
    posted = client.post("/inventory/check/", {"account": "111122223333", "role_name": "ecs\0Role"})
    signing_in = Client().post("/accounts/login/", {"login": "a\0b", "password": "x"})
    assert (posted.status_code, signing_in.status_code) == (400, 400)
    for address in ("/requests/?q=%00", "/requests/new/role/?team=%00", "/audit/?q=a%00b", "/requests/?%00=1"):
        assert client.get(address).status_code == 400, address
    assert signed_in("approver").get("/approvals/?q=%1F").status_code == 400
    assert ObservationOrder.objects.count() == 0


def test_a_half_character_is_refused(client: Client) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\\ud800\r\n--b--\r\n'
    answer = client.generic(
        "POST", "/requests/new/role/", body, content_type="multipart/form-data; boundary=b; charset=unicode_escape"
    )
    assert (answer.status_code, "(U+D800)" in text_of(answer)) == (400, True)


def test_lines_tabs_and_other_scripts_are_texts(client: Client) -> None:
    reason = "Zeile\r\nnächste\tSpalte ‎🙂 日本語"
    client.post("/requests/new/role/", ROLE_ANSWERS | {"reason": reason})
    assert Request.objects.get().answers["reason"] == reason


class TestLongTexts:
    """What is too long is refused before it is read, and no draft keeps it."""

    ADDRESSES = (
        "/requests/new/role/",
        "/requests/preview/",
        "/inventory/check/",
        "/settings/",
        "/accounts/login/",
        "/ops/accounts/111122223333/rules/standard/",
    )

    @pytest.mark.parametrize("address", ADDRESSES)
    @pytest.mark.parametrize("size", [1_000_001, 30_000_000])
    def test_a_body_of_a_megabyte_is_refused_in_words(self, client: Client, address: str, size: int) -> None:
        for body in ({"reason": "a" * size}, {"text": SimpleUploadedFile("a.json", b"[" * size)}):
            answer = client.post(address, ROLE_ANSWERS | body)
            assert answer.status_code == 413
            assert "What was sent is longer than 1,000,000 bytes. Nothing was stored." in text_of(answer)
        assert Request.objects.count() == 0

    @pytest.mark.parametrize("length", ["x", "-1", "1e9", "9" * 5000])
    def test_a_length_that_is_none_is_refused_too(self, client: Client, length: str) -> None:
        assert client.post("/requests/new/role/", ROLE_ANSWERS, CONTENT_LENGTH=length).status_code == 413

    def test_zeros_before_a_length_hide_nothing(self, client: Client) -> None:
        body = encode_multipart(BOUNDARY, {"text": SimpleUploadedFile("a.json", b"[" * 5_000_000)})
        length = "0" * 20 + str(len(body))
        answer = client.generic("POST", "/accounts/login/", body, MULTIPART_CONTENT, CONTENT_LENGTH=length)
        assert answer.status_code == 413

    def test_what_is_short_enough_is_read(self, client: Client) -> None:
        assert client.post("/requests/new/role/", ROLE_ANSWERS | {"undeclared": "a" * 900_000}).status_code == 303

    @pytest.mark.parametrize("field", sorted({*ROLE_ANSWERS, "why_full", "policy_name"} - {"managed_policy"}))
    def test_an_answer_says_how_long_it_may_be(self, client: Client, field: str) -> None:
        given = ROLE_ANSWERS | {"tab": "t1", field: "a" * 900_000}
        answer = client.post("/requests/new/role/", given)
        assert answer.status_code == 422
        said = field_errors(answer)[f"id_{field}"]
        assert "An answer can have 20,000 characters. This one has 900000." in said
        client.post("/requests/preview/", {"kind": "role", **given})
        assert len(Request.objects.get().answers[field]) == 20_000

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[" + " " * 900_000 + "]", "Ensure this value has at most 200000 characters (it has 900002)."),
            (DEEP, "The JSON is nested deeper than 14 levels. (character 26)"),
            (TWICE, "'Version' stands twice in one object. Keep one. (Version)"),
        ],
    )
    def test_a_document_is_refused_in_words(self, signed_in: Callable[[str], Client], text: str, message: str) -> None:
        address = "/ops/accounts/111122223333/rules/standard/"
        answer = signed_in("security").post(address, {"text": text, "reason": "The new standard, SEC-9"})
        assert answer.status_code == 422
        assert message in field_errors(answer)["id_text"]
        assert ProposedChange.objects.count() == 0


@pytest.fixture
def no_reports() -> None:
    errors._logged.clear()


def report(body: bytes, **headers: Any) -> int:
    return Client().post("/csp-report/", body, **({"content_type": "application/csp-report"} | headers)).status_code


@pytest.mark.usefixtures("db", "no_reports")
class TestReportsOfViolations:
    @pytest.mark.parametrize("body", [b"[" * 8000, b'{"a":' * 1600, b"\xff\xfe", b"9" * 8000, b'{"csp-report": []}'])
    def test_nonsense_is_dropped(self, body: bytes) -> None:
        with capture_logs() as logged:
            assert report(body) == 204
        assert logged == []

    def test_a_long_one_is_refused(self) -> None:
        assert report(b'{"csp-report": {}}' + b" " * 8192) == 400

    def test_a_form_is_dropped(self) -> None:
        boundary = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
        assert report(boundary, content_type="multipart/form-data; boundary=b") == 204

    def test_a_flood_does_not_reach_the_log(self) -> None:
        with capture_logs() as logged:
            assert {report(b'{"csp-report": {"blocked-uri": "inline"}}') for _ in range(50)} == {204}
        assert [(line["event"], line["blocked"]) for line in logged] == [("web.csp_violation", "inline")] * 20
