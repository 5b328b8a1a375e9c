"""Lines compared: what a reviewer sees removed and added, aligned."""

from __future__ import annotations

from iamroles.pages.comparison import Side, compare

BEFORE = "a\nb\nc\nd"
AFTER = "a\nx\ny\nc\nd"


class TestCompare:
    def test_aligns_both_sides_and_counts(self) -> None:
        found = compare(BEFORE, AFTER)
        same = [Side("same", "c"), Side("same", "d")]
        assert list(found.before) == [Side("same", "a"), Side("del", "b"), Side("gap", ""), *same]
        assert list(found.after) == [Side("same", "a"), Side("add", "x"), Side("add", "y"), *same]
        assert (found.added, found.removed, found.words) == (2, 1, "2 lines added, 1 line removed")

    def test_equal_texts_have_no_difference(self) -> None:
        found = compare(BEFORE, BEFORE)
        assert found.before == found.after
        assert found.words == "no line differs"

    def test_nothing_before_is_all_added(self) -> None:
        found = compare("", "a\nb")
        assert [side.kind for side in found.after] == ["add", "add"]
        assert [side.kind for side in found.before] == ["gap", "gap"]

    def test_swapping_the_texts_swaps_the_sides(self) -> None:
        there, back = compare(BEFORE, AFTER), compare(AFTER, BEFORE)
        assert (there.added, there.removed) == (back.removed, back.added)

    def test_leaves_out_long_equal_runs_but_their_edges(self) -> None:
        lines = [str(number) for number in range(20)]
        found = compare("\n".join([*lines, "old"]), "\n".join([*lines, "new"]), context=2)
        assert [side.text for side in found.after] == ["0", "1", "16 equal lines", "18", "19", "new"]
        assert len(found.before) == len(found.after)

    def test_keeps_a_run_that_is_hardly_longer(self) -> None:
        found = compare("0\n1\n2\n3\n4\nold", "0\n1\n2\n3\n4\nnew", context=2)
        assert [side.text for side in found.after] == ["0", "1", "2", "3", "4", "new"]
