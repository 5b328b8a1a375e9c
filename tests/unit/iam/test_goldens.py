"""The whole output for both managed policies as files that a person can read: lint, diff and contains.

`ROLEDESK_GOLDEN=write` writes them anew; a reviewer then reads the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from iamroles.iam import catalogue, documents, trust, wording
from iamroles.iam.contain import contains
from iamroles.iam.diff import diff
from iamroles.iam.lint import LintFacts, lint

A = "111122223333"
FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED)


def whole(policy: catalogue.ManagedPolicy, other: catalogue.ManagedPolicy) -> dict[str, Any]:
    facts = LintFacts(standard=(LIMITED.document, trust.codedeploy_trust(A)))
    verdict = contains(policy.document, other.document)
    return {
        "arn": policy.arn,
        "version": policy.version,
        "date": policy.date,
        "sha256": documents.digest(policy.document),
        "size": documents.size(policy.document),
        "sentences": list(wording.sentences(policy.document)),
        "lint": [one.as_mapping() for one in lint(policy.document, "identity", A, facts)],
        "against": other.name,
        "contains": {"verdict": verdict.verdict, "regions": [one.as_mapping() for one in verdict.regions]},
        "diff": diff(other.document, policy.document).as_mapping(),
    }


@pytest.mark.parametrize(("policy", "other"), [(FULL, LIMITED), (LIMITED, FULL)], ids=["full", "limited"])
def test_managed_policies(policy: catalogue.ManagedPolicy, other: catalogue.ManagedPolicy) -> None:
    path = Path(__file__).parent / "golden" / f"{policy.name}.json"
    found = whole(policy, other)
    if os.environ.get("ROLEDESK_GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert found == json.loads(path.read_text())
