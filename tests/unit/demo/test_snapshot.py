"""A saved AWS account is read back as data: nothing else can be smuggled in, and another version is refused."""

from __future__ import annotations

import os
import pickle

import pytest

import portal.demo.simulator  # noqa: F401  (sets moto's environment before moto is imported)
from portal.demo.snapshot import FORMAT, SnapshotUnreadable, dump_account, load_account


class Smuggled:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("exit 1",))


def test_refuses_to_build_anything_but_iam_objects() -> None:
    with pytest.raises(SnapshotUnreadable, match=r"^(posix|nt)\.system has no place in a saved AWS account$"):
        load_account("111122223333", pickle.dumps(Smuggled()))


def test_refuses_another_version_of_the_simulator() -> None:
    saved = pickle.dumps({"format": FORMAT, "moto": "1.0.0", "partitions": {}})
    with pytest.raises(SnapshotUnreadable, match=f"^written by format {FORMAT}, moto 1.0.0$"):
        load_account("111122223333", saved)


@pytest.mark.parametrize("saved", [b"", b"\x80", b"not a pickle", pickle.dumps([1]), pickle.dumps({})])
def test_calls_damage_by_its_name(saved: bytes) -> None:
    with pytest.raises(SnapshotUnreadable):
        load_account("111122223333", saved)


def test_an_account_without_contents_is_small() -> None:
    assert len(dump_account("111122223333")) < 500
