"""One document on a page: what it says in words, its text, and how it differs from what is live.

A sentence stands for one statement and carries its id, so that findings can lead to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from iamroles.iam import documents, wording
from iamroles.iam.documents import Document
from iamroles.pages import comparison
from iamroles.pages.access import AccessRow, access_between
from iamroles.pages.comparison import Difference

Mark = Literal["new", "changed", "same", "kept", "gone"]
MARK_WORDS = {"new": "New", "changed": "Changed", "same": "As it is", "kept": "Kept", "gone": "Removed"}
MARK_TONES = {"new": "ok", "changed": "warn", "same": "neutral", "kept": "info", "gone": "bad"}


@dataclass(frozen=True)
class Sentence:
    """One sentence about one statement. `sign` is "+", "−" or "" ; `anchor` is the statement's id on the page."""

    text: str
    sign: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Words:
    """What a document says: added and removed sentences first, then those that stay."""

    sentences: tuple[Sentence, ...]
    unchanged: int = 0


@dataclass(frozen=True)
class Exhibit:
    """One document with its words. `difference` is None where nothing is live, or where both sides say the same.

    `open` is true for what this portal generated: AWS's own text and what stays as it is start folded.
    """

    anchor: str
    title: str
    mark: Mark
    words: Words
    text: str
    note: str = ""
    arn: str = ""
    difference: Difference | None = None
    open: bool = False
    access: tuple[AccessRow, ...] = ()

    @property
    def mark_word(self) -> str:
        """The mark in words."""
        return MARK_WORDS[self.mark]

    @property
    def tone(self) -> str:
        """The mark's colour token."""
        return MARK_TONES[self.mark]


def slug(text: str) -> str:
    """Returns the text as part of an id: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()


def statement_sentences(document: Document, anchor: str) -> tuple[Sentence, ...]:
    """Returns one sentence for each statement, with the statement's id (`ANCHOR-stmt-1` …)."""
    return tuple(
        Sentence(text, anchor=f"{anchor}-stmt-{number}")
        for number, text in enumerate(wording.sentences(document), start=1)
    )


def words_between(before: Document | None, after: Document, anchor: str) -> Words:
    """Returns what a document says, with signs where it says something else than before."""
    now = statement_sentences(after, anchor)
    if before is None:
        return Words(now)
    old = wording.sentences(before)
    said = {sentence.text for sentence in now}
    added = tuple(Sentence(s.text, "+", s.anchor) for s in now if s.text not in old)
    removed = tuple(Sentence(text, "−") for text in old if text not in said)
    stays = tuple(s for s in now if s.text in old)
    return Words((*removed, *added, *stays), len(stays))


def exhibit(
    *,
    anchor: str,
    title: str,
    before: Document | None,
    after: Document,
    note: str = "",
    arn: str = "",
    kept: bool = False,
) -> Exhibit:
    """Returns a document beside what is live; the same meaning counts as "as it is" whatever the spelling."""
    mark: Mark = "new"
    if before is not None:
        mark = "same" if documents.equal(before, after) else "changed"
    text = documents.pretty(after)
    return Exhibit(
        anchor=anchor,
        title=title,
        mark="kept" if kept else mark,
        words=words_between(before, after, anchor),
        text=text,
        note=note,
        arn=arn,
        difference=comparison.compare(documents.pretty(before), text) if before and mark == "changed" else None,
        open=mark in ("new", "changed"),
        access=access_between(before, after),
    )


def gone(*, anchor: str, title: str, before: Document, note: str = "", arn: str = "") -> Exhibit:
    """Returns a document that will not be there any more, with each of its sentences taken away."""
    sentences = tuple(Sentence(s.text, "−", s.anchor) for s in statement_sentences(before, anchor))
    text = documents.pretty(before)
    return Exhibit(
        anchor=anchor,
        title=title,
        mark="gone",
        words=Words(sentences),
        text=text,
        note=note,
        arn=arn,
        access=access_between(before, None),
    )
