"""Builds `iamroles/iam/data/managed_policies.json` from a supplied export; nothing is fetched.

The export is one JSON object: policy name -> {"Path", "DefaultVersionId", "UpdateDate", "Document"}, as `aws iam
get-policy` and `get-policy-version` answer. The same export always gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from iamroles.iam import documents

NAMES = (
    "AWSCodeDeployRoleForECS",
    "AWSCodeDeployRoleForECSLimited",
    "AmazonECSTaskExecutionRolePolicy",
    "AmazonECSInfrastructureRolePolicyForLoadBalancers",
)
TARGET = Path(__file__).parent.parent / "iamroles" / "iam" / "data" / "managed_policies.json"


def build(export: dict[str, Any], read_on: str) -> str:
    """Returns the file's text. Raises KeyError for a missing policy, `DocumentError` for a malformed one."""
    policies = {}
    for name in NAMES:
        one = export[name]
        document = documents.parse(one["Document"])
        policies[name] = {
            "path": one["Path"],
            "version": one["DefaultVersionId"],
            "date": one["UpdateDate"][:10],
            "sha256": documents.digest(document),
            "document": one["Document"],
        }
    head = {
        "source": "AWS managed policies as answered by IAM GetPolicy and GetPolicyVersion; the CodeDeploy policies "
        "equal the Amazon ECS CodeDeploy IAM role guide",
        "licence": "Policy documents published by Amazon Web Services; facts, reproduced for comparison",
        "read_on": read_on,
    }
    return json.dumps({"about": head, "policies": policies}, indent=1) + "\n"


def main() -> None:
    """Reads the arguments and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("--read-on", required=True, help="the day of the export, YYYY-MM-DD")
    given = parser.parse_args()
    TARGET.write_text(build(json.loads(given.export.read_text()), given.read_on))


if __name__ == "__main__":
    main()
