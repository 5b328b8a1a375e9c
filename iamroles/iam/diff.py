"""What a change of policies newly allows, no longer allows, newly denies and no longer denies: by meaning, with words.

Regions come from the subtractions of `contain` in both directions; a Deny is compared too, because it may void another
policy. Order, spelling, Sids, split or merged statements give nothing. Every region has exactly one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from iamroles.iam.boxes import Box, Boxes
from iamroles.iam.boxing import Boxing, domain
from iamroles.iam.contain import Policies, Question, leftovers, other_readings
from iamroles.iam.documents import Document
from iamroles.iam.emptiness import DEFAULT, Budget, OutOfBudget
from iamroles.iam.region_words import sentence
from iamroles.iam.regions import Region, regions_of


@dataclass(frozen=True)
class Diff:
    """The regions of a change, and one sentence for each, in the order of the fields."""

    newly_allowed: tuple[Region, ...] = ()
    no_longer_allowed: tuple[Region, ...] = ()
    newly_denied: tuple[Region, ...] = ()
    no_longer_denied: tuple[Region, ...] = ()
    sentences: tuple[str, ...] = ()
    unfinished: bool = False

    @property
    def changed(self) -> bool:
        """True when there is any difference, or one could not be excluded."""
        return bool(self.sentences)

    def as_mapping(self) -> dict[str, Any]:
        """Returns the published form."""
        return {
            "newly_allowed": [one.as_mapping() for one in self.newly_allowed],
            "no_longer_allowed": [one.as_mapping() for one in self.no_longer_allowed],
            "newly_denied": [one.as_mapping() for one in self.newly_denied],
            "no_longer_denied": [one.as_mapping() for one in self.no_longer_denied],
            "sentences": list(self.sentences),
        }


def diff(
    before: Policies | None,
    after: Policies | None,
    *,
    ids: Mapping[str, str] | None = None,
    budget: Budget = DEFAULT,
) -> Diff:
    """Returns the difference between two sets of policies; None is no policy.

    When the budget runs out there are no regions, and one sentence says so. Raises ValueError when trust and identity
    policies are mixed.
    """
    old, new = _listed(before), _listed(after)
    if len({document.kind for document in (*old, *new)}) > 1:
        raise ValueError("Trust policies are compared with trust policies only.")
    if set(old) == set(new):
        return Diff()
    try:
        return _difference(old, new, ids, Boxes(budget))
    except OutOfBudget as error:
        return Diff(sentences=(f"The difference could not be worked out: {error}.",), unfinished=True)


def _listed(policies: Policies | None) -> tuple[Document, ...]:
    if policies is None:
        return ()
    return (policies,) if isinstance(policies, Document) else tuple(policies)


def _difference(
    old: tuple[Document, ...], new: tuple[Document, ...], ids: Mapping[str, str] | None, boxes: Boxes
) -> Diff:
    gained = _allowed(Question(new, old, ids=ids), boxes)
    lost = _allowed(Question(old, new, ids=ids), boxes)
    denied = regions_of(_denied(new, old, ids, boxes), boxes)
    undenied = regions_of(_denied(old, new, ids, boxes), boxes)
    names = {c.key: c.written for document in (*old, *new) for s in document.statements for c in s.conditions}
    return Diff(
        newly_allowed=gained,
        no_longer_allowed=lost,
        newly_denied=denied,
        no_longer_denied=undenied,
        sentences=(
            *(sentence(one, "allowed", names) for one in gained),
            *(sentence(one, "lost", names) for one in lost),
            *(sentence(one, "denied", names) for one in denied),
            *(sentence(one, "undenied", names) for one in undenied),
        ),
    )


def _allowed(question: Question, boxes: Boxes) -> tuple[Region, ...]:
    """What new allows beyond the reference; where that is nothing, what it possibly allows in another reading."""
    found = regions_of(leftovers(question, Boxing(ids=question.ids), boxes), boxes)
    for reading, _ in () if found else other_readings(question):
        pieces = leftovers(question, Boxing(reading, ids=question.ids), boxes)
        found = tuple(replace(region, certain=False) for region in regions_of(pieces, boxes))
        if found:
            break
    return found


def _denied(
    more: Sequence[Document], less: Sequence[Document], ids: Mapping[str, str] | None, boxes: Boxes
) -> Iterable[Box]:
    """What the Denies of one side refuse and those of the other do not."""
    boxing = Boxing(ids=ids)
    refused = boxing.denies(less, "wide")
    trust = any(document.kind == "trust" for document in more)
    for start in boxing.denies(more, "wide"):
        if boxes.empty(start):
            continue
        for outer in domain(trust=trust, account=None):
            met = boxes.meet(start, outer)
            if met is not None:
                yield from boxes.subtract_all([met], refused)
