"""Which local passwords are refused: those that are easy to guess here, and those that were stolen elsewhere."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.password_validation import get_password_validators, validate_password
from django.core.exceptions import ValidationError

from iamroles.models import User
from iamroles.web.forms.new_password import HINT
from portal.passwords import NotStolen, holds, without, words_about

ADA = User(username="ada", first_name="Ada", last_name="Byron", email="ada.byron@analytical.example")


def refused(password: str, user: User | None = ADA) -> set[str | None]:
    """The codes with which production's validators refuse it."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        return {one.code for one in error.error_list}
    return set()


def test_eleven_characters_are_too_few_and_common_ones_too_common() -> None:
    assert refused("Zq7#kd92mLp") == {"password_too_short"}
    assert "password_too_common" in refused("telechargement")


@pytest.mark.parametrize(
    "password",
    ["password1234", "Password12345!", "P@ssw0rd1234", "qwertyuiop123", "monkey123456", "123456789012",
     "aaaaaaaaaaaa", "liverpool2024", "summerholiday", "01.02.200001.02.2000"],
)  # fmt: skip
def test_a_common_one_with_a_tail_is_guessable(password: str) -> None:
    assert "guessable" in refused(password)


@pytest.mark.parametrize(
    "password",
    [
        "Roledesk2026!",
        "roledesk-roledesk",
        "RoledeskRoledesk",
        "ByronByron18",
        "Analytical.26",
        "portal.example.26",
        "Acme2026Acme!",
        "R0l3d3$k-4cm3-26",
        "ada.byron@analytical.example",
    ],
)
def test_words_of_product_company_and_person_are_guessed_first(password: str, settings: Any) -> None:
    settings.BASE_URL = "https://portal.example.com"
    settings.ROLEDESK_CONTEXT_WORDS = ["acme"]
    assert "guessable" in refused(password)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "Zq7#kd92mLp0", "шлагбаум-утро", "purple trains eat slow rivers " * 40]
)
def test_what_has_nothing_to_do_with_it_is_taken(password: str) -> None:
    assert refused(password) == set()


def test_one_persons_words_are_not_anothers() -> None:
    assert "guessable" in refused("Lindqvist-26!", User(username="rosa", last_name="Lindqvist"))
    assert refused("Lindqvist-26!", User(username="ada")) == set()


def test_words_are_split_and_short_ones_left_out(settings: Any) -> None:
    settings.BASE_URL, settings.ROLEDESK_CONTEXT_WORDS = "https://iam.acme.example:8443", ["Rocket-Skates"]
    words = words_about(ADA)
    assert {"iam", "acme", "rocket", "skates", "byron", "analytical", "roledesk"} <= words
    assert not {word for word in words if len(word) < 3}
    assert without({"ada", "adamant"}, "Adamant-4d4-river") == "--river"


def digest_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


class TestStolen:
    """The file as it is published: sorted digests, each with how often it was seen."""

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("counted", [True, False])
    def test_finds_each_and_nothing_else(self, end: str, counted: bool) -> None:
        chance = random.Random(1)
        digests = sorted(digest_of(str(number)) for number in range(400))
        counts = [f":{10 ** chance.randrange(9)}" if counted else "" for _ in digests]
        lines = io.BytesIO("".join(f"{one}{count}{end}" for one, count in zip(digests, counts, strict=True)).encode())
        assert all(holds(lines, digest.encode()) for digest in digests)
        others = [digest_of(str(number)) for number in range(400, 900)]
        assert not any(holds(lines, digest.encode()) for digest in [*others, "0" * 40, "F" * 40])

    def test_an_empty_file_holds_nothing(self) -> None:
        assert not holds(io.BytesIO(b""), b"0" * 40)

    def test_refuses_one_of_the_list_and_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "stolen.txt"
        path.write_text(digest_of("correct horse battery") + ":7\n")
        (check,) = get_password_validators([{"NAME": "portal.passwords.NotStolen", "OPTIONS": {"path": str(path)}}])
        with pytest.raises(ValidationError, match="stolen elsewhere"):
            check.validate("correct horse battery")
        check.validate("correct horse battery staple")

    def test_a_missing_file_is_an_error_and_no_yes(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="gone"):
            NotStolen(str(tmp_path / "gone")).validate("correct horse battery")


def test_the_hint_says_the_length_that_is_demanded(settings: Any) -> None:
    (length,) = [
        given["OPTIONS"]["min_length"]
        for given in settings.AUTH_PASSWORD_VALIDATORS
        if given["NAME"].endswith(".MinimumLengthValidator")
    ]
    assert HINT.startswith(f"At least {length} characters: ")
