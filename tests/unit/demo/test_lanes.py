"""Which lanes run, what they miss, how they are summed up, and what that is worth to `make test` and to CI."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests import lanes, services
from tests.lanes import NOT_RUN, Lane, Outcome
from tests.services import CHROMIUM, POSTGRES, REDIS

HERE = replace(REDIS, find=lambda: "/usr/bin/redis-server")
GONE = replace(POSTGRES, find=lambda: None)
ALSO_GONE = replace(CHROMIUM, find=lambda: None)


class TestChosenLanes:
    def test_are_all_but_the_slow_ones_by_default(self) -> None:
        assert [lane.name for lane in lanes.chosen_lanes([])] == [
            "unit",
            "integration-sqlite",
            "integration-postgresql",
            "contract",
            "browser-sqlite",
            "browser-postgresql",
        ]

    def test_are_those_that_begin_with_a_word(self) -> None:
        assert [lane.name for lane in lanes.chosen_lanes(["browser", "faults"])] == [
            "browser-sqlite",
            "browser-postgresql",
            "faults",
        ]

    def test_an_unknown_word_is_refused(self) -> None:
        with pytest.raises(lanes.UnknownLane) as refused:
            lanes.chosen_lanes(["unit", "bowser"])
        assert str(refused.value) == (
            "There is no lane 'bowser'. There are: unit, integration-sqlite, integration-postgresql, contract,"
            " browser-sqlite, browser-postgresql, faults"
        )


class TestMissingPrograms:
    LANES = (Lane("a", (), (ALSO_GONE, HERE)), Lane("b", (), (GONE, ALSO_GONE)))

    def test_are_named_once_in_the_order_of_the_lanes(self) -> None:
        assert lanes.missing_programs(list(self.LANES), provided=set()) == [ALSO_GONE, GONE]

    def test_are_not_those_that_the_environment_provides(self) -> None:
        assert lanes.missing_programs(list(self.LANES), provided={GONE}) == [ALSO_GONE]

    def test_the_line_that_installs_them(self) -> None:
        assert services.install_line([CHROMIUM, POSTGRES, REDIS]) == (
            "apt-get install -y --no-install-recommends chromium postgresql redis-server"
        )


@pytest.mark.parametrize(
    ("line", "closing"),
    [
        ("============= 12 passed, 1 skipped in 3.45s =============\n", "12 passed, 1 skipped in 3.45s"),
        ("\x1b[31m=== \x1b[31m\x1b[1m1 failed\x1b[0m in 61.00s (0:01:01) ===\x1b[0m\n", "1 failed in 61.00s (0:01:01)"),
        ("===== 2 passed in 61.20s (0:01:01) =====", "2 passed in 61.20s (0:01:01)"),
        ("============== FAILURES ==============", ""),
        ("===== no tests ran in 0.01s =====", "no tests ran in 0.01s"),
        ("the 3 requests passed in 3.45s", ""),
        ("12 passed in 3.45s", "12 passed in 3.45s"),
    ],
)
def test_closing_line(line: str, closing: str) -> None:
    assert lanes.closing_line(line) == closing


OUTCOMES = [Outcome("unit", "passed", "3 passed in 0.10s"), Outcome("browser-sqlite", NOT_RUN, "Chromium missing")]


def test_summary_has_one_line_a_lane() -> None:
    assert lanes.summary(OUTCOMES) == [
        "unit            passed   3 passed in 0.10s",
        "browser-sqlite  NOT RUN  Chromium missing",
    ]


@pytest.mark.parametrize(
    ("results", "all_required", "code"),
    [
        (["passed"], True, 0),
        (["passed", NOT_RUN], False, 0),
        (["passed", NOT_RUN], True, 1),
        (["passed", "FAILED"], False, 1),
    ],
)
def test_exit_code(results: list[str], all_required: bool, code: int) -> None:
    outcomes = [Outcome("lane", result, "") for result in results]
    assert lanes.exit_code(outcomes, all_required=all_required) == code


def test_given_servers_need_no_program_and_the_persons_variables_stay_outside(tmp_path: Path) -> None:
    environment = {"REDIS_URL": "redis://there/", "DATABASE_URL": "", "PATH": "/bin", "AWS_PROFILE": "production"}
    runner = lanes.Runner(temporary=tmp_path, stack=ExitStack(), environment=environment)
    assert runner.provided == {REDIS}
    with runner._lane_environment(lanes.LANES[0]) as seen:
        assert seen == {"PATH": "/bin", "ROLEDESK_VAR": str(tmp_path / "unit")}
