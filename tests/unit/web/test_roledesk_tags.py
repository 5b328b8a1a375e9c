"""The template tags: what they show is escaped, breakable, and still the same text when copied."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django import forms
from django.template import Context, Template

from iamroles.web.templatetags import roledesk


def text_alone(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


class TestJsonCode:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": 'a "quoted" <b>{x}</b>: y', "Resource": ["arn:aws:iam::111122223333:role/x"], "n": 1}],
    }

    def test_its_text_alone_is_the_json(self) -> None:
        text = text_alone(roledesk.json_code(self.document))
        assert json.loads(text) == self.document
        assert text == json.dumps(self.document, indent=2) + "\n"

    def test_tells_keys_from_texts(self) -> None:
        markup = roledesk.json_code({"Effect": "Allow"})
        assert '<span class="json-key">&quot;Effect&quot;</span>' in markup
        assert '<span class="json-text">&quot;Allow&quot;</span>' in markup

    def test_nothing_of_a_document_becomes_markup(self) -> None:
        assert "<b>" not in roledesk.json_code(self.document)
        assert "<script>" not in roledesk.json_code('{"a": "<script>alert(1)</script>"}')


def test_breakable_breaks_after_colons_and_slashes_and_escapes() -> None:
    assert roledesk.breakable("arn:aws:iam::1:role/<x>") == (
        "arn:<wbr>aws:<wbr>iam:<wbr>:<wbr>1:<wbr>role/<wbr>&lt;x&gt;"
    )


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "23 Nov 2026, 14:02 UTC"),
        ("Europe/Berlin", "23 Nov 2026, 14:02 UTC (15:02 Berlin)"),
        ("America/New_York", "23 Nov 2026, 14:02 UTC (09:02 New York)"),
        ("Nowhere/Else", "23 Nov 2026, 14:02 UTC"),
    ],
)
def test_times_are_utc_first(zone: str, words: str) -> None:
    context = Context({"user": SimpleNamespace(time_zone=zone), "at": datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC)})
    markup = Template("{% when at %}").render(context)
    assert text_alone(markup) == words
    assert 'datetime="2026-11-23T14:02:11Z"' in markup


def test_an_idempotency_key_is_new_each_time() -> None:
    assert roledesk.idempotency_key() != roledesk.idempotency_key()
    assert roledesk.idempotency_key("k") == '<input type="hidden" name="idempotency_key" value="k">'


class Answers(forms.Form):
    name = forms.CharField(label="Role name", widget=forms.TextInput(attrs={"placeholder": "x", "autofocus": True}))
    kind = forms.ChoiceField(label="Kind", choices=[("a", "A")], widget=forms.RadioSelect)


class TestForms:
    def test_summary_and_field_say_the_same_with_the_fields_name(self) -> None:
        form = Answers({})
        markup = Template("{% error_summary form %}{% field_groups form %}").render(Context({"form": form}))
        assert 'href="#id_name">Role name is missing. Enter it.</a>' in markup
        assert 'href="#id_kind_0">Kind is missing. Enter it.</a>' in markup
        assert text_alone(markup).count("Role name is missing. Enter it.") == 2
        assert 'aria-invalid="true"' in markup

    def test_an_unsent_form_shows_no_problem(self) -> None:
        assert Template("{% error_summary form %}").render(Context({"form": Answers()})).strip() == ""

    def test_fields_carry_no_required_and_no_placeholder(self) -> None:
        markup = Template("{% field_groups form %}").render(Context({"form": Answers()}))
        assert re.findall(r"<input[^>]*\s(required|placeholder=)", markup) == []

    def test_the_summary_keeps_the_focus(self) -> None:
        sent = Template("{% error_summary form %}{% field_groups form %}").render(Context({"form": Answers({})}))
        assert "autofocus" not in sent
