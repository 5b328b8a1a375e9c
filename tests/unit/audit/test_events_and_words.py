"""Every declared event has a sentence that uses only what the event holds; envelopes and filters keep their rules."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from iamroles import canonical
from iamroles.audit import envelope, events, words
from iamroles.audit.find import EventFilter
from iamroles.audit.values import Actor, AwsCall, Change, Subject

ALWAYS = {"actor", "object", "request", "rev", "why"}


def build(action: str, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "event_id": UUID("01935f2e-7c00-7000-8000-000000000001"),
        "at": datetime(2026, 11, 24, 9, 0, tzinfo=UTC),
        "action": action,
        "actor": Actor(type="user", id="7", name="Ada Okafor"),
        "subject": Subject("request", "REQ-000142", "Role for orders"),
        "request": "REQ-000142",
        "revision": 1,
        "outcome": "success",
        "code": None,
        "reason": None,
        "phase": None,
        "changes": [],
        "aws": None,
        "correlation": None,
        "on_behalf_of": None,
        "data": {},
        **changes,
    }
    return envelope.build_envelope(**arguments)


class TestEvents:
    def test_are_named_subject_and_past_tense(self) -> None:
        assert [name for name in events.EVENTS if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name)] == []

    @pytest.mark.parametrize("reason", sorted(events.STOPPED_KEYS))
    def test_ask_for_more_when_a_run_stopped(self, reason: str) -> None:
        full = dict.fromkeys(events.STOPPED_KEYS[reason], "x") | {"run": "r", "reason": reason}
        events.check("run.stopped", full)
        with pytest.raises(events.WrongData, match=f"missing {min(events.STOPPED_KEYS[reason])}"):
            events.check("run.stopped", {"run": "r", "reason": reason})

    def test_refuse_an_unknown_reason_of_a_stopped_run(self) -> None:
        with pytest.raises(events.WrongData, match="there is no reason 'tired'"):
            events.check("run.stopped", {"run": "r", "reason": "tired"})

    def test_name_missing_and_unknown_keys(self) -> None:
        with pytest.raises(events.WrongData) as refused:
            events.check("session.started", {"method": "password", "password": "x"})
        assert str(refused.value) == "session.started: missing mfa; unknown password"


class TestWords:
    def test_say_every_event_and_no_other(self) -> None:
        assert sorted(words.SENTENCES) == sorted(events.EVENTS)

    @pytest.mark.parametrize("action", sorted(events.EVENTS))
    def test_use_only_required_keys(self, action: str) -> None:
        used = {name for _, name, _, _ in string.Formatter().parse(words.SENTENCES[action]) if name}
        assert used <= ALWAYS | events.EVENTS[action].required | ({"api"} if action.startswith("step.") else set())

    @pytest.mark.parametrize(
        ("action", "changes", "sentence"),
        [
            ("approval.given", {}, "Ada Okafor approved REQ-000142 (revision 1)."),
            ("approval.given", {"reason": "Fine"}, "Ada Okafor approved REQ-000142 (revision 1), saying “Fine”."),
            (
                "verb.refused",
                {"data": {"verb": "take_back", "code": "self_approval"}},
                "Ada Okafor may not take back REQ-000142 (revision 1): self_approval.",
            ),
            (
                "step.completed",
                {
                    "data": {"run": "r", "step": 2, "http_status": 200},
                    "aws": AwsCall("111122223333", None, "iam", "CreateRole", "r-1"),
                },
                "AWS did CreateRole (step 2) for REQ-000142.",
            ),
            (
                "team.changed",
                {"subject": Subject("team", "shop", "Shop"), "data": {"team": "shop", "changes": ["name", "accounts"]}},
                "Ada Okafor changed the team Shop: name, accounts.",
            ),
        ],
    )
    def test_read_like_this(self, action: str, changes: dict[str, Any], sentence: str) -> None:
        assert words.sentence_of(build(action, **changes)) == sentence

    def test_say_something_of_an_event_of_a_later_version(self) -> None:
        assert words.sentence_of(build("moon.landed")) == "Ada Okafor: moon.landed Role for orders."


class TestEnvelope:
    def test_keeps_a_value_of_one_kibibyte_and_only_the_digest_of_a_longer_one(self) -> None:
        kept, cut = "x" * 1022, "x" * 1023
        changes = build("team.changed", changes=[Change("a", None, kept), Change("b", kept, cut)])["changes"]
        assert changes == [
            {"field": "a", "old": None, "new": kept},
            {"field": "b", "old": kept, "new": {"sha256": canonical.digest(cut), "length": 1025}},
        ]

    @pytest.mark.parametrize(
        ("changes", "account"),
        [
            ({"aws": AwsCall("111122223333", None, "iam", "x")}, "111122223333"),
            ({"data": {"account": "444455556666"}}, "444455556666"),
            ({"subject": Subject("account", "777788889999", "Shop")}, "777788889999"),
            ({}, ""),
            ({"data": {"account": None}}, ""),
        ],
    )
    def test_finds_the_aws_account(self, changes: dict[str, Any], account: str) -> None:
        assert envelope.project(build("x.y", **changes)).aws_account == account

    @pytest.mark.parametrize("text", ["2026-11-24T09:00:00Z", "2026-11-24T09:00:00.0Z", "2026-11-24 09:00:00.000000Z"])
    def test_knows_one_spelling_of_a_time(self, text: str) -> None:
        with pytest.raises(ValueError, match="2026"):
            envelope.read_time(text)

    def test_refuses_more_than_65535_bytes(self) -> None:
        small = len(envelope.write(build("x.y", reason="")))
        assert len(envelope.write(build("x.y", reason="r" * (65_535 - small)))) == 65_535
        with pytest.raises(envelope.TooLarge, match=r"x\.y: 65536 bytes, at most 65535"):
            envelope.write(build("x.y", reason="r" * (65_536 - small)))


class TestEventFilter:
    def test_reads_a_url(self) -> None:
        query = {"from": "2026-11-01", "to": "2026-11-24", "actor": " ada ", "request": "req-000142", "page": "3"}
        wanted, bad = EventFilter.from_query(query)
        assert (wanted, bad) == (
            EventFilter(
                from_at=datetime(2026, 11, 1, tzinfo=UTC),
                to_at=datetime(2026, 11, 25, tzinfo=UTC),
                actor="ada",
                request="REQ-000142",
            ),
            [],
        )
        assert wanted.describe() == {
            "from": "2026-11-01T00:00:00+00:00",
            "to": "2026-11-25T00:00:00+00:00",
            "actor": "ada",
            "request": "REQ-000142",
        }

    @pytest.mark.parametrize(
        ("query", "name", "message"),
        [
            ({"from": "soon"}, "from", "'soon' is no date. Write 2026-11-24 or 2026-11-24T12:30."),
            ({"from": "2026-11-24", "to": "2026-11-23"}, "to", "“To” must be later than “from”."),
            ({"to": "9999-12-31"}, "to", "'9999-12-31' is no date. Write 2026-11-24 or 2026-11-24T12:30."),
            ({"action": "run.exploded"}, "action", "There is no event 'run.exploded'."),
            ({"account": "12"}, "account", "An AWS account number has 12 digits, not '12'."),
            ({"outcome": "ok"}, "outcome", "An outcome is success, refused, failed or unknown, not 'ok'."),
        ],
    )
    def test_says_what_cannot_be_used(self, query: dict[str, str], name: str, message: str) -> None:
        _, bad = EventFilter.from_query(query)
        assert [(each.name, each.message) for each in bad] == [(name, message)]
