"""The canonical bytes: equal to a strict RFC 8785 library on the subset, and everything else refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from iamroles import canonical

_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)
_key = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=6)
_leaf = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _text
_value = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_key, inner, max_size=4))


@given(_value)
def test_writes_what_a_strict_library_writes(value: Any) -> None:
    assert canonical.dumps(value) == rfc8785.dumps(value)


@given(_value)
def test_reads_back_what_it_wrote(value: Any) -> None:
    assert canonical.loads(canonical.dumps(value)) == value


def test_digest_is_the_sha256_of_the_bytes() -> None:
    assert canonical.dumps({"b": [1, True, None], "a": "ä\n"}) == '{"a":"ä\\n","b":[1,true,null]}'.encode()
    expected = hashlib.sha256('{"a":"ä\\n","b":[1,true,null]}'.encode()).hexdigest()
    assert canonical.digest({"b": [1, True, None], "a": "ä\n"}) == expected


@pytest.mark.parametrize(
    "value", [1.0, {"é": 1}, {1: 2}, 2**53, -(2**53), "a\x00", "\ud800", {"a": {1, 2}}, b"x", {"a\x00": 1}]
)
def test_refuses_what_is_outside_the_subset(value: Any) -> None:
    with pytest.raises(canonical.CanonicalError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', "1.0", "1e3", "NaN", "Infinity", "9007199254740992", "1" * 5000, '"\\ud800"', '"\\u0000"', "{",
     "", "-0", "[" * 100_000, b"\xff"],
)  # fmt: skip
def test_refuses_texts_that_are_not_strict(text: str | bytes) -> None:
    with pytest.raises(canonical.CanonicalError):
        canonical.loads(text)


def test_names_the_place() -> None:
    with pytest.raises(canonical.CanonicalError, match=r"value\.a\[1\]: float is not allowed"):
        canonical.dumps({"a": [1, 1.5]})
