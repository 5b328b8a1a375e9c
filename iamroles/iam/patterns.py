"""Patterns as `contain` sees them: a row of elements that each take one letter, or any number of letters.

Two patterns are equal when they mean the same word for word. A variable stands as an unlimited star, which is too
large: whoever uses a pattern where that would be wrong must leave `uncertain` ones out (POLICY.md part 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from iamroles.iam.machine import Machine
from iamroles.iam.statements import Escape, Part, Variable, ascii_lower, parts


class Element(NamedTuple):
    """Takes one letter, or any number with `star`. `letters` lists what it takes, '' meaning any; without `colon`
    a colon is not among the any.
    """

    star: bool
    letters: str
    colon: bool = True


ANY_STAR = Element(star=True, letters="")
_ANY_ONE = Element(star=False, letters="")


@dataclass(frozen=True)
class Pattern:
    """`identity` is '' for a plain pattern; else it names a variable pattern or an uninterpreted test.

    Uninterpreted tests have `atom` set and no elements: they may hold of any value.
    """

    elements: tuple[Element, ...]
    text: str
    identity: str = ""
    atom: bool = False

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Pattern)
            and self.identity == other.identity
            and self.atom == other.atom
            and self.elements == other.elements
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.fixed or self.elements, self.identity, self.atom))

    @property
    def uncertain(self) -> bool:
        """True when the elements are only an upper limit of what the pattern matches."""
        return bool(self.identity)

    @cached_property
    def fixed(self) -> str | None:
        """The only word, or None when there are more."""
        if self.identity or any(one.star or len(one.letters) != 1 for one in self.elements):
            return None
        return "".join(one.letters for one in self.elements)

    @cached_property
    def universal(self) -> bool:
        """True when every word matches, also by the upper limit."""
        return self.elements == (ANY_STAR,)

    @cached_property
    def prefix(self) -> str:
        """The letters that every word begins with."""
        return _run(self.elements)

    @cached_property
    def suffix(self) -> str:
        """The letters that every word ends with."""
        return _run(self.elements[::-1])[::-1]

    @cached_property
    def letters(self) -> frozenset[str]:
        """The letters that it mentions."""
        return frozenset(letter for one in self.elements for letter in one.letters)

    @cached_property
    def shortest(self) -> int:
        """The length of the shortest word."""
        return sum(not one.star for one in self.elements)

    @cached_property
    def _machine(self) -> Machine:
        return Machine([self.elements])

    def matches(self, word: str) -> bool:
        """True when the word matches, by the upper limit."""
        if self.fixed is not None:
            return word == self.fixed
        if self.atom or not word.startswith(self.prefix) or not word.endswith(self.suffix):
            return self.atom
        return self._machine.accepts(word)

    def shortest_word(self, fresh: str, filler: str = "") -> str:
        """Returns a word that matches: `fresh` wherever any letter will do, `filler` for every star."""
        return "".join(filler if one.star else one.letters[:1] or fresh for one in self.elements)


def _run(elements: tuple[Element, ...]) -> str:
    letters = []
    for one in elements:
        if one.star or len(one.letters) != 1:
            break
        letters.append(one.letters)
    return "".join(letters)


Values = Mapping[str, str]


class Builder:
    """Makes patterns out of texts of documents.

    `values` gives the variables fixed values: one that is not among them has its default, or matches nothing. Without
    `values` a variable is any word. `crossing` chooses the second reading of resource wildcards.
    """

    def __init__(self, *, crossing: bool = False, values: Values | None = None) -> None:
        self.crossing = crossing
        self.values = values
        self.found_short_arn = False

    def action(self, text: str) -> Pattern:
        """Returns the pattern of an action; names ignore case."""
        return Pattern(tuple(_merged(_elements(ascii_lower(text)))), text)

    def resource(self, text: str, version: str) -> Pattern | None:
        """Returns the pattern of a resource, padded to six segments, or None when it matches nothing."""
        if not text.strip("*"):
            return plain_star(text) if text == "*" else self._segments((text,), text, pad=True, crossing=self.crossing)
        found = self._filled(text, version)
        return None if found is None else self._segments(found, text, pad=True, crossing=self.crossing)

    def arn(self, text: str, version: str) -> Pattern | None:
        """Returns the pattern of an Arn operator's value: six segments one by one; None when it is too short."""
        found = self._filled(text, version)
        if found is None:
            return None
        made = self._segments(found, text, pad=False, crossing=False)
        self.found_short_arn = self.found_short_arn or made is None
        return made

    def like(self, text: str, version: str) -> Pattern | None:
        """Returns the pattern of a StringLike value, or None when it matches nothing."""
        return self._string(text, version, wildcards=True)

    def equals(self, text: str, version: str, *, ignore_case: bool = False) -> Pattern | None:
        """Returns the pattern of a StringEquals value, or None when it matches nothing."""
        return self._string(text, version, wildcards=False, ignore_case=ignore_case)

    def _filled(self, text: str, version: str) -> tuple[Part, ...] | None:
        found = parts(text, version)
        if self.values is None:
            return found
        filled: list[Part] = []
        for part in found:
            if isinstance(part, Variable):
                value = self.values.get(part.key, part.default)
                if value is None:
                    return None
                filled.append(Escape(value))
            else:
                filled.append(part)
        return tuple(filled)

    def _string(self, text: str, version: str, *, wildcards: bool, ignore_case: bool = False) -> Pattern | None:
        found = self._filled(text, version)
        if found is None:
            return None
        elements: list[Element] = []
        for part in found:
            if isinstance(part, str):
                elements += _elements(part) if wildcards else _letters(part)
            elif isinstance(part, Escape):
                elements += _letters(part.character)
            else:
                elements.append(ANY_STAR)
        if ignore_case:
            elements = [_both_cases(one) for one in elements]
        return Pattern(
            tuple(_merged(elements)), text, _identity(found, ("like" if wildcards else "equals", ignore_case))
        )

    def _segments(self, found: tuple[Part, ...], text: str, *, pad: bool, crossing: bool) -> Pattern | None:
        elements: list[Element] = []
        colons = 0
        for part in found:
            if isinstance(part, Variable):
                elements.append(ANY_STAR)
                continue
            if isinstance(part, Escape):
                elements += _letters(part.character)
                continue
            for letter in part:
                if letter == ":" and colons < 5:
                    colons += 1
                    elements.append(_letter(":"))
                elif letter in "*?":
                    elements.append(Element(letter == "*", "", colon=crossing or colons == 5))
                else:
                    elements.append(_letter(letter))
        if colons < 5 and not pad:
            return None
        for missing in range(colons, 5):
            elements.append(_letter(":"))
            elements.append(Element(star=True, letters="", colon=crossing or missing == 4))
        return Pattern(tuple(_merged(elements)), text, _identity(found, ("arn", pad, crossing)))


def plain_star(text: str = "*") -> Pattern:
    """Returns the pattern that every word matches."""
    return Pattern((ANY_STAR,), text)


def literal(word: str) -> Pattern:
    """Returns the pattern of exactly one word."""
    return Pattern(tuple(_letters(word)), word)


@lru_cache(maxsize=1024)  # of the text alone: no reading, budget or answer is in it
def glob(text: str) -> Pattern:
    """Returns the pattern of a text whose wildcards cross everything."""
    return Pattern(tuple(_merged(_elements(text))), text)


def atom(name: str) -> Pattern:
    """Returns an uninterpreted test: nothing is known about which words it holds of."""
    return Pattern((), name, name, atom=True)


def _elements(text: str) -> list[Element]:
    return [ANY_STAR if letter == "*" else _ANY_ONE if letter == "?" else _letter(letter) for letter in text]


def _letters(text: str) -> list[Element]:
    return [_letter(letter) for letter in text]


@lru_cache(maxsize=1024)
def _letter(letter: str) -> Element:
    return Element(star=False, letters=letter)


def _both_cases(one: Element) -> Element:
    lower = ascii_lower(one.letters)
    if not lower or not lower.isascii() or not lower.isalpha():
        return one
    return one._replace(letters=lower + lower.upper())


def _merged(elements: list[Element]) -> list[Element]:
    """The same row without stars beside stars that take no more."""
    merged: list[Element] = []
    for one in elements:
        if one.star and merged and merged[-1].star:
            merged[-1] = one if one.colon else merged[-1]
        else:
            merged.append(one)
    return merged


def _identity(found: tuple[Part, ...], mode: object) -> str:
    if any(isinstance(part, Variable) for part in found):
        return repr((mode, found))
    return ""
