"""`python -m tests.faults.mutants`: one-line sabotages of the engine, each with the test that must catch it.

Each runs in a copy of the project. A mutant that survives, or a line that is not there any more, fails the whole.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENGINE = "tests/integration/engine/"


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in `file`; `killer` is the test that must fail then."""

    name: str
    file: str
    old: str
    new: str
    killer: str


MUTANTS = [
    Mutant(
        "no explainable rule",
        "iamroles/engine/apply.py",
        "        if odd:\n",
        "        if odd and False:\n",
        f"{ENGINE}test_apply.py::TestForeignChanges::test_a_role_deleted_and_made_anew",
    ),
    Mutant(
        "no digest check",
        "iamroles/engine/proof.py",
        "recomputed = digest_of(proposal.canonical)",
        "recomputed = proposal.digest",
        f"{ENGINE}test_looks.py::TestProofOfTime::test_a_longer_life_by_sql_is_refused",
    ),
    Mutant(
        "no signature check",
        "iamroles/engine/proof.py",
        "if not signing.verify(",
        "if False and not signing.verify(",
        f"{ENGINE}test_apply.py::TestProof::test_a_signature_of_another_key",
    ),
    Mutant(
        "no guard",
        "iamroles/engine/writing.py",
        "guard.check(self.journal, self.reading.aws_now(), tools.limits, removes_only=removes_only)",
        "tools.now()",
        f"{ENGINE}test_apply.py::TestPause::test_a_paused_account_waits",
    ),
    Mutant(
        "no lease check in the guard",
        "iamroles/engine/guard.py",
        "    lease.require_ours(journal.held)\n",
        "",
        f"{ENGINE}test_unknown.py::TestDeadWorker::test_the_guard_asks_for_the_lease",
    ),
    Mutant(
        "adopt what exists already",
        "iamroles/engine/explain.py",
        "else made.get(observed.role.arn)",
        "else observed.role.role_id",
        f"{ENGINE}test_apply.py::TestForeignChanges::test_a_role_made_by_others_meanwhile",
    ),
    Mutant(
        "botocore retries writes",
        "iamroles/aws/boto.py",
        "credentials, session_name, 1)",
        "credentials, session_name, 5)",
        "tests/contract/test_retries.py::test_a_write_is_sent_once_and_its_outcome_is_unknown",
    ),
    Mutant(
        "one confirming read",
        "iamroles/engine/apply.py",
        "if self.equal_looks < (limits.absent_looks if doubtful else 2):",
        "if self.equal_looks < 1:",
        f"{ENGINE}test_looks.py::TestConfirming::test_one_look_that_reads_as_approved_is_not_enough",
    ),
    Mutant(
        "no confirming read",
        "iamroles/engine/apply.py",
        "            self._write(step, remaining)\n",
        "            self._write(step, remaining)\n"
        "            if not remaining[1:]:\n"
        "                self.equal_looks = 1\n"
        "                self._confirm(observed, doubtful=False)\n",
        f"{ENGINE}test_looks.py::TestConfirming::test_an_own_success_that_is_not_shown_yet_is_waited_for",
    ),
    Mutant(
        "absence believed from reads",
        "iamroles/engine/apply.py",
        "        unsent = next((step for step in deleting if step.state != journal.OK), None)\n",
        "        unsent = None\n",
        f"{ENGINE}test_removal.py::test_a_role_that_reads_as_gone_is_deleted_all_the_same",
    ),
    Mutant(
        "repeat instead of waiting",
        "iamroles/engine/apply.py",
        "if step.state == journal.OK and step.ended_at",
        "if False and step.ended_at",
        f"{ENGINE}test_looks.py::TestConfirming::test_an_own_success_that_is_not_shown_yet_is_waited_for",
    ),
    Mutant(
        "no quiet period",
        "iamroles/engine/apply.py",
        "if step.api not in REPEATABLE and now < quiet_until:",
        "if False:",
        f"{ENGINE}test_unknown.py::TestLostCreate"
        "::test_that_did_not_land_waits_out_the_quiet_period_before_it_is_repeated",
    ),
    Mutant(
        "no session deadline",
        "iamroles/aws/sessions.py",
        '{"DateLessThan": {"aws:CurrentTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}}',
        "{}",
        "tests/unit/engine/test_sessions.py::test_one_statement_a_call_each_with_the_deadline",
    ),
    Mutant(
        "RoleId not compared",
        "iamroles/engine/explain.py",
        "if observed.role.role_id != expected:",
        "if False:",
        f"{ENGINE}test_apply.py::TestForeignChanges::test_a_role_deleted_and_made_anew",
    ),
    Mutant(
        "PolicyId not compared",
        "iamroles/engine/explain.py",
        "if known and policy.policy_id != known:",
        "if False:",
        f"{ENGINE}test_deployer.py::TestRemoving::test_of_one_made_anew_by_others_is_a_conflict",
    ),
    Mutant(
        "a policy alone gets a version",
        "iamroles/proposal/plan.py",
        "return (*_new_policies(observed, target), *_unmake_policies(observed, target))",
        "return (*_policies(observed, target), *_unmake_policies(observed, target))",
        "tests/unit/proposal/test_deployer.py::TestNeverChanged::test_no_document_leads_to_a_version",
    ),
    Mutant(
        "unknown written as ok",
        "iamroles/engine/journal.py",
        "            UNKNOWN if unknown else FAILED,",
        "            OK if unknown else FAILED,",
        f"{ENGINE}test_unknown.py::TestLostOthers::test_a_repeatable_call_that_did_not_land_is_repeated_at_once",
    ),
    Mutant(
        "intent after the call",
        "iamroles/engine/writing.py",
        "        if not self._guarded(step, sent):\n            return\n",
        "        session.gateway.send(sent)\n        if not self._guarded(step, sent):\n            return\n",
        f"{ENGINE}test_unknown.py::TestDeadWorker::test_another_takes_over_after_the_quiet_period",
    ),
    Mutant(
        "call outside the plan allowed",
        "iamroles/engine/apply.py",
        "if explain.is_planned(call, call_of(step))), None)",
        "), None)",
        f"{ENGINE}test_looks.py::TestOutsideThePlan::test_a_version_that_others_made_is_not_made_the_default",
    ),
    Mutant(
        "a deny that is gone is not missed",
        "iamroles/engine/apply.py",
        "        odd += self._uncut(observed, remaining)\n",
        "",
        f"{ENGINE}test_older_sessions.py::TestCutting"
        "::test_nothing_is_added_once_somebody_took_away_the_deny_that_a_later_plan_relies_on",
    ),
    Mutant(
        "absence of a deny believed from reads",
        "iamroles/engine/follow_up.py",
        "doubtful = step.state != journal.OK",
        "doubtful = False",
        f"{ENGINE}test_older_sessions.py::TestFollowUp::test_absence_is_not_believed_from_two_looks",
    ),
    Mutant(
        "every boundary goes first",
        "iamroles/proposal/boundary.py",
        "    return bool(documents) and",
        "    return False and",
        "tests/unit/proposal/test_order.py::test_on_every_prefix_nobody_holds_what_is_not_theirs",
    ),
    Mutant(
        "a yes believed from anybody",
        "iamroles/aws/unreadable.py",
        'if not answer.get("ResponseMetadata", {}).get("RequestId"):',
        "if False:",
        "tests/contract/test_bad_answers.py::test_a_malformed_answer_to_a_write_says_nothing_of_its_outcome",
    ),
]


def run(mutant: Mutant, folder: Path) -> str:
    """Returns "killed", "SURVIVED" or "GONE"."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    if mutant.old not in text:
        return "GONE"
    path.write_text(text.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.killer],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        path.write_text(text, encoding="utf-8")
    return {0: "SURVIVED", 1: "killed"}.get(done.returncode, f"GONE ({done.stdout[-300:]})")


def main() -> int:
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="roledesk-mutants-") as name:
        folder = Path(name)
        for part in ("iamroles", "portal", "tests", "templates"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("manage.py", "pyproject.toml"):
            shutil.copy(ROOT / part, folder / part)
        results = {}
        for mutant in chosen:
            results[mutant.name] = run(mutant, folder)
            print(f"{results[mutant.name]:9} {mutant.name}  ({mutant.killer.rsplit('::', 1)[-1]})", flush=True)
    killed = sum(result == "killed" for result in results.values())
    print(f"{killed} of {len(results)} mutants killed")
    return 0 if killed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
