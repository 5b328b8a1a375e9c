"""What no local password may be: easy to guess, also from what is known of person and company (ASVS 5.0, 6.2.11), or in
a list of passwords that were stolen elsewhere (6.2.12). Both are looked up here; nothing leaves the host."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import zxcvbn
from django.conf import settings
from django.core.exceptions import ValidationError

from iamroles.models import User

PRODUCT: Final = ("roledesk", "codedeploy", "passrole", "amazon", "aws", "iam", "ecs")
GOOD_ENOUGH: Final = 3  # of 4: zxcvbn's own estimate that more than 10**8 guesses are needed
_LONGEST: Final = 72  # characters that zxcvbn looks at
_SHORTEST_WORD: Final = 3
_AS_LETTERS: Final = str.maketrans("013457@$", "oieastas")


def words_about(user: User | None) -> set[str]:
    """Returns the words that are guessed first: of the product, the company (by the settings), and the person."""
    texts = [*PRODUCT, urlsplit(settings.BASE_URL).hostname or "", *settings.ROLEDESK_CONTEXT_WORDS]
    if user is not None:
        texts += [user.get_username(), user.first_name, user.last_name, user.email]
    words = {word for text in texts for word in re.split(r"[\W_]+", text.lower())}
    return {word for word in words if len(word) >= _SHORTEST_WORD}


def without(words: set[str], password: str) -> str:
    """Returns what remains of a password without these words, also where digits stand for their letters."""
    spelled = sorted((re.escape(word.translate(_AS_LETTERS)) for word in words), key=len, reverse=True)
    kept, end = "", 0
    for found in re.finditer("|".join(spelled), password.translate(_AS_LETTERS), re.IGNORECASE):
        kept, end = kept + password[end : found.start()], found.end()
    return kept + password[end:]


class NotGuessable:
    """Refuses what is made of common passwords, words, names, patterns, dates, and words about the person."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError where few guesses would find the password by somebody who knows the words."""
        rest = without(words_about(user), password)[:_LONGEST]
        if not rest or zxcvbn.zxcvbn(rest)["score"] < GOOD_ENOUGH:  # zxcvbn knows no empty text
            raise ValidationError(
                "This password is easy to guess: it is made of a common password, a name, a word or a pattern, with "
                "little else. Take several words that have nothing to do with you, your company or each other.",
                code="guessable",
            )

    def get_help_text(self) -> str:
        """Returns the sentence of the form."""
        return "Not a common password, name or pattern with digits at its end: several unrelated words are good."


class NotStolen:
    """Refuses what is in a file of digests, `path`."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError for a password of the list, OSError where the file cannot be read."""
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        with self._path.open("rb") as lines:
            if holds(lines, digest.encode()):
                raise ValidationError(
                    "This password is in a list of passwords that were stolen elsewhere. Take another one.",
                    code="stolen",
                )

    def get_help_text(self) -> str:
        """Returns the sentence of the form."""
        return "It is looked up among passwords that were stolen elsewhere; it does not leave this server."


def holds(lines: BinaryIO, digest: bytes) -> bool:
    """Returns whether a file of lines "DIGEST" or "DIGEST:COUNT", sorted, upper case, has the digest. Any size."""
    low, high = 0, lines.seek(0, 2)
    while low < high:  # the first line that begins at or after `low` is sought
        middle = (low + high) // 2
        line = _line_from(lines, middle)
        if line and line[: len(digest)] < digest:
            low = middle + 1
        else:
            high = middle
    return _line_from(lines, low)[: len(digest)] == digest


def _line_from(lines: BinaryIO, position: int) -> bytes:
    """Returns the first line that begins at or after the position, empty at the end."""
    lines.seek(max(0, position - 1))
    if position:
        lines.readline()
    return lines.readline()
