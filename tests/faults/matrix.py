"""Runs cells: one scenario, one fault at one call, in an AWS account of its own, judged by three witnesses afterwards.

AWS is read directly, the rows and the journal are read from the database, and all three must tell the declared story.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import connections
from django.utils import timezone

from iamroles.blueprints.state import State
from iamroles.canonical import loads
from iamroles.engine import explain, sweep
from iamroles.engine.drift import differences
from iamroles.engine.look import look_at
from iamroles.engine.tools import Limits, from_settings
from iamroles.models import ManagedRole, Proposal, Request, Run, Step
from iamroles.proposal import read
from iamroles.proposal.plan import same
from iamroles.proposal.propose import Stored
from tests.faults.aws import Cell, FaultyAws
from tests.faults.courses import COURSES, GOOD, IN_CI, expected
from tests.faults.foreign import FOREIGN, Foreign
from tests.faults.kinds import KINDS, Kind, Strike
from tests.faults.nursery import Nursery
from tests.faults.scenarios import SCENARIOS, Organisation, Place, Scenario

SETTLE_SECONDS = 300.0


class Strikes(Protocol):
    """Several faults in one."""

    @property
    def target(self) -> str: ...

    @property
    def name(self) -> str: ...

    def make(self, k: int) -> Strike:
        """Returns what strikes."""


@dataclass(frozen=True)
class Plan:
    """One cell before it runs."""

    scenario: Scenario
    kind: Kind | Foreign | Strikes | None
    k: int
    expected: str

    @property
    def name(self) -> str:
        kind = f"{self.kind.target} {self.kind.name}" if self.kind else "healthy"
        return f"{self.scenario.name} · {kind} · {self.k}"


@dataclass
class Verdict:
    """`result` is exact, flagged, wrong, lost or false success."""

    plan: Plan
    result: str
    said: str = ""
    cell: Cell | None = None


@dataclass
class Healthy:
    """What a run without faults does: the frame of a scenario's cells."""

    writes: list[str]
    counts: dict[str, int]
    reads: list[str]


class Matrix:
    """All that the cells share."""

    def __init__(self, aws: FaultyAws, nursery: Nursery) -> None:
        self.aws, self.nursery = aws, nursery
        self.organisation = Organisation(aws)
        self.limits: Limits = from_settings().limits
        self._numbers = itertools.count(100000000001)

    def healthy(self, scenario: Scenario) -> Healthy:
        """Runs a scenario without faults. Raises AssertionError unless it ends as it should, exactly."""
        verdict = self.run(Plan(scenario, None, 0, GOOD[scenario.course]))
        assert verdict.result == "exact", f"{scenario.name}: {verdict.said}"
        assert verdict.cell is not None
        return Healthy([action for action, _, _ in verdict.cell.writes], dict(verdict.cell.counts), verdict.cell.reads)

    def run_all(self, plans: list[Plan], workers: int) -> list[Verdict]:
        """Runs cells at the same time, each in its own AWS account."""
        verdicts = []
        with ThreadPoolExecutor(workers) as pool:
            for done in as_completed([pool.submit(self.run, plan) for plan in plans]):
                verdict = done.result()
                verdicts.append(verdict)
                if verdict.result not in ("exact", "flagged"):
                    print(f"{verdict.result.upper()}  {verdict.plan.name}: {verdict.said}", flush=True)
                if len(verdicts) % 50 == 0:
                    print(f"… {len(verdicts)} of {len(plans)}: {dict(Counter(v.result for v in verdicts))}", flush=True)
        return verdicts

    def run(self, plan: Plan) -> Verdict:
        """Runs one cell and judges it."""
        number = str(next(self._numbers))
        try:
            return self._run(plan, number)
        except Exception:
            return Verdict(plan, "wrong", traceback.format_exc()[-1500:])
        finally:
            self.aws.forget(number)
            connections.close_all()

    def _run(self, plan: Plan, number: str) -> Verdict:
        cell = Cell(number)
        self.aws.cells[number] = cell
        place = self.organisation.place(number)
        plan.scenario.prepare(place)
        request = self.organisation.submit(plan.scenario.facts(place))
        if plan.scenario.course != "apply":
            return self._run_course(plan, place, request, cell)
        self.nursery.deliver("observe", request.pk, lambda _pid: None).ended.wait(60)
        self.organisation.approve(request)
        self._arm(plan, place, cell)
        settled = self._settle(request, cell)
        cell.armed = False
        request.refresh_from_db()
        if not settled:
            return Verdict(plan, "lost", f"{request.state}, {_run_of(request)}", cell)
        return self._judge(plan, place, request, cell)

    @staticmethod
    def _arm(plan: Plan, place: Place, cell: Cell) -> None:
        if isinstance(plan.kind, Foreign):
            cell.strike = plan.kind.make(plan.k, place)
        elif plan.kind is not None:
            cell.strike = plan.kind.make(plan.k)
        cell.armed = True

    def _run_course(self, plan: Plan, place: Place, request: Request, cell: Cell) -> Verdict:
        course = COURSES[plan.scenario.course](
            self.nursery,
            self.organisation,
            place,
            request,
            cell,
            lambda: self._arm(plan, place, cell),
            self._settle,
        )
        settled = course.drive()
        self._wake(cell)
        cell.armed = False
        request.refresh_from_db()
        if not settled:
            return Verdict(plan, "lost", f"{request.state}, {_run_of(request)}", cell)
        happened, problems = course.judge()
        if happened == "false success":
            return Verdict(plan, happened, _run_of(request), cell)
        if plan.kind is not None and not cell.struck:
            problems.append("the fault was not delivered")
        if happened != plan.expected:
            problems.append(f"{happened} instead of {plan.expected}: {request.last_code} {_run_of(request)}")
        good = happened == GOOD[plan.scenario.course]
        return Verdict(plan, "wrong" if problems else "exact" if good else "flagged", "; ".join(problems), cell)

    def race(self, workers: int = 4) -> Verdict:
        """Delivers one approved request to several workers at once: exactly the plan is written, once."""
        plan = Plan(SCENARIOS[0], None, workers, "applied")
        number = str(next(self._numbers))
        cell = self.aws.cells[number] = Cell(number)
        place = self.organisation.place(number)
        request = self.organisation.submit(plan.scenario.facts(place))
        self.nursery.deliver("observe", request.pk, lambda _pid: None).ended.wait(60)
        self.organisation.approve(request)
        cell.armed = True
        deliveries = [self.nursery.deliver("apply", request.pk, lambda _pid: None) for _ in range(workers)]
        for delivery in deliveries:
            delivery.ended.wait(SETTLE_SECONDS)
        self._settle(request, cell)
        cell.armed = False
        request.refresh_from_db()
        verdict = self._judge(plan, place, request, cell)
        runs = Run.objects.filter(request=request).count()
        if verdict.result == "exact" and (runs, len(cell.writes)) != (1, 4):
            verdict = Verdict(plan, "wrong", f"{runs} runs, {cell.writes}", cell)
        self.aws.forget(number)
        return verdict

    def _settle(self, request: Request, cell: Cell) -> bool:
        """Delivers whenever the sweep would, until the request is closed, stopped or back in review."""
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            request.refresh_from_db()
            run = Run.objects.filter(request=request).order_by("-number").first()
            if request.state != "approved" or (run is not None and run.state == "stopped"):
                self._wake(cell)
                return True
            if request.pk in sweep.find_due(timezone.now(), self.limits).apply:
                delivery = self.nursery.deliver("apply", request.pk, lambda pid: setattr(cell, "pid", pid))
                while not delivery.ended.wait(0.05) and cell.stopped != delivery.pid:
                    if time.monotonic() > until:
                        return False
            else:
                time.sleep(0.05)
        return False

    @staticmethod
    def _wake(cell: Cell) -> None:
        """A stopped worker wakes up late, after others finished its work: what it then sends must not land."""
        if cell.stopped is not None:
            os.kill(cell.stopped, signal.SIGCONT)
            cell.stopped = None
            time.sleep(1.0)

    def _judge(self, plan: Plan, place: Place, request: Request, cell: Cell) -> Verdict:
        run = Run.objects.filter(request=request).order_by("-number").first()
        happened = request.outcome or (run.stop_reason if run and run.state == "stopped" else request.state)
        stored = read(Proposal.objects.filter(revision__request=request).latest("pk").canonical)
        problems = _journal_problems(request, cell)
        if plan.kind is not None and not cell.struck:
            problems.append("the fault was not delivered")
        if happened == "applied":
            unequal = _unequal(place, stored)
            if unequal:
                return Verdict(plan, "false success", unequal, cell)
            problems += _too_many_writes(stored, cell)
        if happened == "conflict" and run is not None and run.detail.get("live_digest") is None:
            problems.append("the conflict shows nothing")
        if isinstance(plan.kind, Foreign):
            problems += plan.kind.problems(place, happened)
        if happened != plan.expected:
            problems.append(f"{happened} instead of {plan.expected}: {_run_of(request)}")
        if problems:
            return Verdict(plan, "wrong", "; ".join(problems), cell)
        return Verdict(plan, "exact" if happened == "applied" else "flagged", cell=cell)


def _run_of(request: Request) -> str:
    run = Run.objects.filter(request=request).order_by("-number").first()
    if run is None:
        return "no run"
    steps = [(s.api, s.state, s.attempt, s.code) for s in run.steps.all()]
    detail = {key: value for key, value in run.detail.items() if key != "live"}
    return f"{run.state} {run.stop_reason} tries {run.tries} {str(detail)[:400]} {steps}"


def _unequal(place: Place, stored: Stored) -> str:
    live = look_at(place.gateway, stored.base.role_arn, stored.target.policies)
    if not same(explain.fit(live, stored), stored.target):
        return f"applied, but AWS reads {live.as_mapping()}"
    kept = list(ManagedRole.objects.filter(account=place.account))
    if [row.role_id for row in kept] != ([live.role.role_id] if live.role else []):
        return f"applied, but the inventory holds {[row.role_id for row in kept]}"
    desired: list[tuple[ManagedRole, Any]] = [(row, loads(row.desired)) for row in kept]
    drift = {each["part"] for row, state in desired for each in differences(row, State.from_mapping(state), live)}
    for arn, policy in live.policies.items():
        base = stored.base.policies.get(arn)
        most = max(1, min(5, (len(base.versions) if base else 0) + 1))
        ours = {version for version in policy.versions if f"version {version} of {arn}" not in drift} if policy else ()
        if len(ours) > most:
            return f"applied, but {arn} has versions {sorted(ours)} that no scan would name"
    return ""


def _journal_problems(request: Request, cell: Cell) -> list[str]:
    """Each journalled ok happened, and each write that reached AWS has an intent.

    A step that AWS answered with NoSuchEntity and that a look closed says that the thing was gone already, not that a
    call of ours took it away: its code stays with it.
    """
    steps = list(Step.objects.filter(run__request=request))
    landed = Counter(action for action, _, ok in cell.writes if ok)
    arrived = Counter(action for action, _, _ in cell.writes)
    said = Counter(step.api for step in steps if step.state == "ok" and step.attempt and step.code != "NoSuchEntity")
    intended: Counter[str] = Counter()
    for step in steps:
        intended[step.api] += step.attempt
    problems = [f"{api} is journalled ok {n} times, landed {landed[api]}" for api, n in said.items() if n > landed[api]]
    return problems + [
        f"{api} arrived {n} times, intended {intended[api]}" for api, n in arrived.items() if n > intended[api]
    ]


def _too_many_writes(stored: Stored, cell: Cell) -> list[str]:
    """Writes that landed beyond the plan need a fault that explains them."""
    landed = sum(ok for _, _, ok in cell.writes)
    if landed > len(stored.plan) + cell.struck:
        return [f"{landed} writes landed for a plan of {len(stored.plan)}"]
    return []


def cells(healthy: dict[str, Healthy], every_read: int) -> list[Plan]:
    """Returns the whole matrix: each kind at each write and session, and at every n-th read."""
    plans = []
    for scenario in (each for each in SCENARIOS if each.name in healthy):
        frame = healthy[scenario.name]
        for kind in KINDS:
            most = len(frame.writes) if kind.target == "write" else frame.counts.get(kind.target, 0)
            step = every_read if kind.target == "read" else 1
            plans += [
                Plan(
                    scenario,
                    kind,
                    k,
                    _declared(scenario, kind, kind.expected(scenario.name, frame.writes, k), frame, k),
                )
                for k in range(1, most + 1, step)
                if kind.only(frame.writes, k)
            ]
        for foreign in FOREIGN:
            for k in range(1, len(frame.writes) + 1):
                usual = foreign.expected(scenario.name, frame.writes, k)
                plans.append(Plan(scenario, foreign, k, usual and _declared(scenario, foreign, usual, frame, k)))
    return [plan for plan in plans if plan.expected]


def _declared(scenario: Scenario, kind: Kind | Foreign, usual: str, frame: Healthy, k: int) -> str:
    return expected(scenario.course, kind, usual, frame.reads, k)


def chosen(plans: list[Plan], only: str) -> list[Plan]:
    """Returns the cells whose name holds the text; "ci": each kind at its first and its last call of a scenario."""
    if only != "ci":
        return [plan for plan in plans if only in plan.name]
    groups: dict[tuple[str, str, str], list[Plan]] = {}
    for plan in plans:
        assert plan.kind is not None
        if plan.scenario.course != "apply" and plan.kind.name not in IN_CI:
            continue
        groups.setdefault((plan.scenario.name, plan.kind.target, plan.kind.name), []).append(plan)
    return [group[-1] if "read" in key[1] else group[0] for key, group in groups.items()]
